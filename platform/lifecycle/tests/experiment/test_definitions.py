"""The experiments file: what is valid, the message of each error, and that the last valid file stays in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.experiment.__main__ import main
from lifecycle.experiment.definitions import DefinitionsFile
from lifecycle.gitops.experiments import DefinitionsError, parse
from support.experiment import EXPERIMENT, FILE, INFER, RunningRouter, metric, user_of
from support.waiting import eventually

VALID = "experiments: [{name: one, model: churn}]"


def test_the_defaults_are_90_to_10_for_a_week() -> None:
    experiment = parse(VALID.encode(), "file").running["churn"]
    assert (experiment.challenger_percent, experiment.challenger_share) == (10, 1000)
    assert (experiment.challenger_timeout, experiment.outcome_window) == (1.0, 7 * 24 * 3600)
    assert (experiment.user_window, experiment.criteria) == (7 * 24 * 3600, None)


def test_the_defaults_of_the_criteria_guard_latency_errors_and_fallbacks() -> None:
    content = (
        "experiments: [{name: one, model: churn, outcomes: {a: binary}, criteria: {outcome: a, minimum_effect: 1}}]"
    )
    criteria = parse(content.encode(), "file").by_name["one"].criteria
    assert criteria is not None
    assert (criteria.level, criteria.power, criteria.minimum_users, criteria.maximum_days) == (0.05, 0.8, 100, 28)
    assert [(each.outcome, each.is_lower_better) for each in criteria.guardrails] == [
        ("latency", True),
        ("errors", True),
        ("fallbacks", True),
    ]


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


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ("outcome: b, minimum_effect: 1", "experiments.0: criteria.outcome is 'b': not one of a, latency"),
        ("outcome: a", "experiments.0.criteria.minimum_effect is missing: add it"),
        ("outcome: a, minimum_effect: 0", "minimum_effect is 0: input should be greater than 0"),
        ("outcome: a, minimum_effect: .nan", "minimum_effect is nan: input should be"),
        ("outcome: a, minimum_effect: 1, minimum_users: 99", "minimum_users is 99: input should be greater than or"),
        ("outcome: errors, minimum_effect: 1", "experiments.0.criteria: errors cannot decide"),
        ("outcome: latency, minimum_effect: 0.1, better: higher", "`better: higher` is not valid for latency"),
        ("outcome: latency, minimum_effect: 1, guardrails: []", "a share below 1"),
        ("outcome: latency, minimum_effect: 0.1", "latency decides, so it cannot also be a guardrail"),
        (
            "outcome: a, minimum_effect: 1, guardrails: [{outcome: b, tolerance: 1}]",
            "a guardrail's outcome is 'b': not one of a, errors, fallbacks, latency",
        ),
        (
            "outcome: a, minimum_effect: 1, guardrails: [{outcome: a1, tolerance: 1}, {outcome: a1, tolerance: 2}]",
            "the guardrail a1 appears more than once; keep one",
        ),
        (
            "outcome: a, minimum_effect: 1, maximum_days: 7",
            "user_window_days is 7: it must be below criteria.maximum_days, 7",
        ),
    ],
)
def test_invalid_criteria_have_a_clear_message(criteria: str, message: str) -> None:
    content = f"experiments: [{{name: one, model: churn, outcomes: {{a: binary}}, criteria: {{{criteria}}}}}]"
    with pytest.raises(DefinitionsError) as error:
        parse(content.encode(), "file")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_outcome_cannot_have_the_name_of_a_built_in_measure() -> None:
    content = "experiments: [{name: one, model: churn, outcomes: {errors: binary}}]"
    with pytest.raises(DefinitionsError, match="the outcome errors has the name of a built-in measure"):
        parse(content.encode(), "file")


def test_a_changed_file_is_soon_in_force_and_users_keep_their_variants(router: RunningRouter) -> None:
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


def test_a_process_that_starts_with_an_invalid_file_uses_the_last_valid_one(tmp_path: Path) -> None:
    file, backup = tmp_path / "experiments.yaml", tmp_path / "backup.yaml"
    file.write_text(VALID)
    DefinitionsFile(file, backup)
    file.write_text("experiments: [{name: one}]")
    restarted = DefinitionsFile(file, backup)
    assert list(restarted.current.by_name) == ["one"]
    assert "model is missing" in restarted.problem


def test_without_any_valid_file_a_process_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(DefinitionsError, match="cannot be read: No such file or directory"):
        DefinitionsFile(tmp_path / "missing" / "experiments.yaml", tmp_path / "backup.yaml")
    file = tmp_path / "experiments.yaml"
    file.write_text("experiments: [{name: one}]")
    (tmp_path / "backup.yaml").write_text("experiments: [")
    with pytest.raises(DefinitionsError, match="model is missing"):
        DefinitionsFile(file, tmp_path / "backup.yaml")


def test_without_a_synced_file_there_are_no_experiments_yet(tmp_path: Path) -> None:
    file = tmp_path / "experiments.yaml"
    definitions = DefinitionsFile(file, tmp_path / "backup.yaml")
    assert definitions.current.by_name == {}
    assert "cannot be read" in definitions.problem
    file.write_text(VALID)
    assert definitions.reload()
    assert list(definitions.current.by_name) == ["one"]
    file.unlink()
    assert list(DefinitionsFile(file, tmp_path / "backup.yaml").current.by_name) == ["one"], "it was there before"


def test_a_file_can_be_checked_before_it_is_committed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "experiments.yaml"
    file.write_text(VALID)
    assert main(["check", str(file)]) == 0
    assert "is valid: one" in capsys.readouterr().out
    file.write_text("experiments: [{name: one}]")
    assert main(["check", str(file)]) == 1
    assert "error: " in (message := capsys.readouterr().err)
    assert "experiments.0.model is missing" in message
