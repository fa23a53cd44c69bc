"""The experiments' file: what is valid, what each message says, and that the last valid file stays in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.experiment.__main__ import main
from lifecycle.experiment.definitions import DefinitionsError, DefinitionsFile, parse
from support.experiment import EXPERIMENT, FILE, INFER, RunningRouter, metric, user_of
from support.waiting import eventually

VALID = "experiments: [{name: one, model: churn}]"


def test_the_defaults_are_90_to_10_for_a_week() -> None:
    experiment = parse(VALID.encode(), "file").running["churn"]
    assert (experiment.challenger_percent, experiment.challenger_share) == (10, 1000)
    assert (experiment.challenger_timeout, experiment.outcome_window) == (1.0, 7 * 24 * 3600)


@pytest.mark.parametrize("content", ["", "experiments: []", "# none\n"])
def test_a_file_may_have_no_experiments(content: str) -> None:
    assert not parse(content.encode(), "file").by_name


@pytest.mark.parametrize(("percent", "share"), [("0", 0), ("0.01", 1), ("33.33", 3333), ("0.29", 29), ("100", 10_000)])
def test_a_share_is_exact_in_hundredths_of_a_percent(percent: str, share: int) -> None:
    content = f"experiments: [{{name: one, model: churn, challenger_percent: {percent}}}]"
    assert parse(content.encode(), "file").by_name["one"].challenger_share == share


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("experiments: [", "file is not YAML"),
        ("\x00", "file is not YAML"),
        ("- 1", "file must be a mapping with the key `experiments`"),
        ("experiments: [{model: churn}]", "experiments.0.name is missing: add it"),
        ("experiments: [{name: one}]", "experiments.0.model is missing: add it"),
        ("experiments: [{name: A/B, model: churn}]", "experiments.0.name is 'A/B': string should match pattern"),
        (
            "experiments: [{name: one, model: ../churn}]",
            "experiments.0.model is '../churn': the registered model's name",
        ),
        ("experiments: [{name: one, model: churn, challenger_percent: 101}]", "less than or equal to 100"),
        ("experiments: [{name: one, model: churn, challenger_percent: .nan}]", "finite number"),
        ("experiments: [{name: one, model: churn, challenger_percent: 0.001}]", "must be a multiple of 0.01"),
        ("experiments: [{name: one, model: churn, percent: 5}]", "experiments.0.percent is 5: extra inputs"),
        ("experiments: [{name: one, model: churn, outcomes: {a: count}}]", "'binary' or 'continuous'"),
        ("experiments: [{name: one, model: a}, {name: one, model: b}]", "the name one appears more than once"),
        (
            "experiments: [{name: one, model: a}, {name: two, model: a}]",
            "a running experiment of the model a appears more than once",
        ),
    ],
)
def test_an_invalid_file_has_a_clear_message(content: str, message: str) -> None:
    with pytest.raises(DefinitionsError, match="file") as error:
        parse(content.encode(), "file")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_changed_file_is_in_force_soon_and_keeps_who_is_in(router: RunningRouter) -> None:
    inside = user_of("challenger", percent=5)
    router.file.write_text(FILE.replace("challenger_percent: 50", "challenger_percent: 5"))
    path = f"/ab-test/experiments/{EXPERIMENT}/assignment"
    headers = {"x-user-id": inside}
    shown = eventually(
        lambda: (found := router.client.get(path, headers=headers).json())["challenger_buckets"] == 500 and found
    )
    assert shown["variant"] == "challenger"
    router.file.write_text(FILE.replace("state: ended", "state: ended # again").replace("churn-forest", "another"))
    eventually(lambda: router.client.get(path, headers=headers).status_code == 404, "the experiment is gone")


@pytest.mark.parametrize("content", ["experiments: [{name: one}]", None])
def test_the_last_valid_file_stays_in_force(router: RunningRouter, content: str | None) -> None:
    if content is None:
        router.file.unlink()
    else:
        router.file.write_text(content)
    problem = eventually(lambda: router.client.get("/ab-test/stats").json()["definitions_problem"])
    assert str(router.file) in problem
    eventually(lambda: metric("groundwork_experiment_definitions_valid") == 0)
    response = router.client.post(INFER, content=b"{}", headers={"x-user-id": user_of("challenger")})
    assert response.headers["x-variant"] == "challenger"
    router.file.write_text(FILE)
    eventually(lambda: metric("groundwork_experiment_definitions_valid") == 1, "the repaired file is in force")


def test_a_process_that_starts_with_an_invalid_file_takes_the_last_valid_one(tmp_path: Path) -> None:
    file, backup = tmp_path / "experiments.yaml", tmp_path / "backup.yaml"
    file.write_text(VALID)
    DefinitionsFile(file, backup)
    file.write_text("experiments: [{name: one}]")
    restarted = DefinitionsFile(file, backup)
    assert list(restarted.current.by_name) == ["one"]
    assert "model is missing" in restarted.problem


def test_without_any_valid_file_a_process_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "experiments.yaml"
    with pytest.raises(DefinitionsError, match="cannot be read: No such file or directory"):
        DefinitionsFile(file, tmp_path / "backup.yaml")
    file.write_text("experiments: [{name: one}]")
    (tmp_path / "backup.yaml").write_text("experiments: [")
    with pytest.raises(DefinitionsError, match="model is missing"):
        DefinitionsFile(file, tmp_path / "backup.yaml")


def test_a_file_can_be_checked_before_it_is_committed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "experiments.yaml"
    file.write_text(VALID)
    assert main(["check", str(file)]) == 0
    assert "is valid: one" in capsys.readouterr().out
    file.write_text("experiments: [{name: one}]")
    assert main(["check", str(file)]) == 1
    assert "error: " in (message := capsys.readouterr().err)
    assert "experiments.0.model is missing" in message
