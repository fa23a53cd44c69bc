"""How the rollout reads and edits the experiments file: it ends one experiment, and changes nothing else.

The meaning of the fields is proven in tests/experiment/test_definitions.py; tests/rollout has real repositories.
"""

from __future__ import annotations

import pytest

from lifecycle.gitops.experiments import end_experiment, experiments_path, parse, read_experiments
from lifecycle.gitops.git import InvalidFileError
from lifecycle.gitops.settings import GitopsSettings

SETTINGS = GitopsSettings(repository=".", stack="dev")
PATH = "stacks/dev/experiments/experiments.yaml"


class Files(dict[str, str]):
    """A repository."""

    def read(self, path: str) -> str | None:
        return self.get(path)


BLOCK = """\
# Größere Vorhaben
experiments:
  - name: first  # a remark
    model: other
  -   name: second
      model: churn   # people's spacing
      outcomes: {name: binary}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BLOCK, BLOCK.replace("  -   name: second", "  -   state: ended\n      name: second")),
        ("experiments: [{name: second, model: churn}]", "experiments: [{state: ended, name: second, model: churn}]"),
        (
            'experiments:\n- model: churn\n  state: "running"  # since May\n  name: second\n',
            "experiments:\n- model: churn\n  state: ended  # since May\n  name: second\n",
        ),
    ],
    ids=["a list", "in brackets", "with a state"],
)
def test_an_experiment_is_ended_and_every_other_line_stays(text: str, expected: str) -> None:
    files = Files({PATH: text})
    assert end_experiment(files, SETTINGS, "second") == {PATH: expected}
    assert parse(expected.encode(), PATH).by_name["second"].state == "ended"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "experiments: [{name: second, model: churn, state: ended}]",
        "experiments: [{name: third, model: churn}]",
        "experiments: [",
        "experiments: [{name: second, model: churn, challenger_percent: 200}]",
        # An edit of the one would be one of the other.
        "experiments:\n- {name: first, model: a, state: &state running}\n- {name: second, model: b, state: *state}\n",
    ],
    ids=["no file", "empty", "ended", "another", "no YAML", "invalid", "an alias"],
)
def test_an_entry_that_does_not_run_or_only_people_can_edit_is_unchanged(text: str | None) -> None:
    assert end_experiment(Files({} if text is None else {PATH: text}), SETTINGS, "second") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("experiments: [", "experiments.yaml is not YAML"),
        ("experiments: 5", "experiments is 5"),
        ("[" * 5000, "experiments.yaml is not YAML"),
        ("experiments: [{name: 2026-13-45, model: churn}]", "experiments.yaml is not YAML: month must be in 1..12"),
        ("experiments: [{name: a, model: churn}, {name: b, model: churn}]", "a running experiment of the model churn"),
    ],
    ids=["no YAML", "no list", "deep", "no date", "two of a model"],
)
def test_an_invalid_file_is_one_error_with_its_path(text: str, message: str) -> None:
    with pytest.raises(InvalidFileError, match=message) as caught:
        read_experiments(Files({PATH: text}), SETTINGS)
    assert PATH in str(caught.value)


def test_the_file_is_in_the_stacks_folder() -> None:
    assert read_experiments(Files(), SETTINGS).by_name == {}
    assert experiments_path(GitopsSettings(repository=".", stack="dev", path="models/eu")) == (
        "models/eu/experiments/experiments.yaml"
    )
