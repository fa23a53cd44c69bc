"""What the commands do with a preflight: report all findings, start nothing that cannot succeed, and run Pulumi.

Proves which command lines Pulumi gets, with a program of that name that records them. tests/engine/test_deployment.py
proves what the real Pulumi does with them.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from deploy import commands
from deploy.engine import Engine
from deploy.errors import DeployError
from deploy.programs import ROOT
from infra.core.stack_config import check
from kernel import stack_file
from kernel.reviewed_entries import find_today
from tests.support.cloud_programs import AWS, write_program
from tests.support.previews import DATABASE, events, step, urn

pytestmark = pytest.mark.process

POLICIES = f"--policy-pack {ROOT / 'policies'}"

SETTINGS = """\
config:
  groundwork:cloud: aws
  groundwork:environment: dev
  groundwork:location: eu-west-1
  groundwork:organization: acme
  groundwork:owner: ml
  groundwork:cluster: {authorizedRanges: [192.88.99.0/24]}
"""

# What each program prints. `pulumi` knows a stack once it has been created, and logs the commands that it runs.
PROGRAMS = {
    "pulumi": f"""
case "$1 $2" in
"version "*) echo v{version("pulumi")} ;;
"whoami "*) echo '{{"user": "ada", "url": "https://app.pulumi.com/ada"}}' ;;
"config set"|"stack select") test -e "$0.stack" || {{ echo "error: no stack named 'team' found" >&2; exit 6; }} ;;
"stack export") cat "$0.state" 2>/dev/null || {{ echo "error: no stack named 'team' found" >&2; exit 6; }} ;;
"stack init") touch "$0.stack"; echo "$@" >> "$0.log" ;;
*) echo "$@" >> "$0.log"; for last; do :; done; cp "$0.events" "$last" 2>/dev/null; exit $(cat "$0.$1") ;;
esac
""",
    "aws": AWS,
}
QUIET = "--non-interactive --suppress-progress"
PREVIEW = f"preview --stack team {POLICIES} {QUIET}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all programs, which is PATH; the stack `team` has a file and is not in the backend."""
    for name, script in PROGRAMS.items():
        write_program(tmp_path / name, script)
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    (stacks / "Pulumi.team.yaml").write_text(SETTINGS)
    for action, code in {"preview": 0, "up": 42, "destroy": 42}.items():
        (tmp_path / f"pulumi.{action}").write_text(str(code))
    (tmp_path / "pulumi.events").write_text(events())
    monkeypatch.setattr(commands, "_STACKS", stacks)
    monkeypatch.setattr("os.environ", {"PATH": f"{tmp_path}:/bin:/usr/bin"})
    return tmp_path


def log(folder: Path) -> list[str]:
    path = folder / "pulumi.log"
    text = path.read_text() if path.exists() else ""
    return re.sub(r" --(event-log|save-plan) \S+", "", text).splitlines()


@pytest.mark.parametrize(
    ("action", "code", "runs"),
    [
        ("preview", 0, [PREVIEW]),
        ("up", 42, [PREVIEW, f"up --stack team {POLICIES} --yes --skip-preview {QUIET}"]),
    ],
)
def test_the_stack_is_created_and_pulumi_runs_in_it_under_the_policies(
    folder: Path, capsys: pytest.CaptureFixture[str], action: str, code: int, runs: list[str]
) -> None:
    assert commands.run(action, "team", is_confirmed=True) == code, "the exit code is Pulumi's"
    assert log(folder) == ["stack init team --non-interactive", *runs]
    assert "Stack 'team' is new in the backend." in capsys.readouterr().err
    assert commands.run(action, "team", is_confirmed=True) == code
    assert log(folder)[1:] == [*runs, *runs], "it is created once"
    assert "Selected stack 'team'." in capsys.readouterr().err


def test_only_an_existing_stack_is_destroyed(folder: Path) -> None:
    with pytest.raises(DeployError, match="no stack named 'team' found"):
        commands.run("destroy", "team", is_confirmed=True)
    assert log(folder) == []
    (folder / "pulumi.stack").touch()
    assert commands.run("destroy", "team", is_confirmed=True) == 42
    assert log(folder) == [f"destroy --stack team --yes {QUIET}"]


def test_drift_is_a_preview_with_a_refresh_that_expects_no_changes(folder: Path) -> None:
    with pytest.raises(DeployError, match="no stack named 'team' found"):
        commands.run("drift", "team")
    (folder / "pulumi.stack").touch()
    assert commands.run("drift", "team") == 0
    assert log(folder) == [f"preview --refresh --expect-no-changes --stack team {POLICIES} {QUIET}"]


def test_the_engines_events_are_written_to_the_requested_file(folder: Path) -> None:
    log_file = folder / "requested.jsonl"
    log_file.write_text("of another run")
    commands.run("preview", "team", event_log=log_file)
    assert log_file.read_text() == events()


def test_expired_credentials_are_explained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = {"urn": "", "message": "ExpiredToken: it is expired", "severity": "error"}
    (folder / "pulumi.events").write_text(json.dumps({"diagnosticEvent": event}) + "\n")
    (folder / "pulumi.preview").write_text("42")
    assert commands.run("up", "team", is_confirmed=True) == 42
    assert "The credentials expired while team was changed." in capsys.readouterr().err


def test_protection_that_prevents_a_destroy_is_named_with_its_setting(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pulumi.stack").touch()
    database = {"urn": "urn:pulumi:team::groundwork::groundwork:aws:Database$aws:rds/instance:Instance::database"}
    for protect, words in (
        (False, []),
        (True, ["1 of its resources", "Instance database", "groundwork:resilience.deletionProtection to false"]),
    ):
        (folder / "pulumi.state").write_text(
            json.dumps({"deployment": {"resources": [{**database, "protect": protect}]}})
        )
        assert commands.run("destroy", "team", is_confirmed=True) == 42
        report = capsys.readouterr().err
        assert [word for word in words if word not in report] == []
        assert ("protects" in report) is protect


def test_a_preflight_reports_and_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run("preflight", "team") == 0
    assert log(folder) == []
    report = capsys.readouterr().err
    subjects = [line.split()[1] for line in report.splitlines() if line.startswith("  ok")]
    found = ["settings", "pulumi", "backend", "stack", "aws", "way", "credentials", "account", *["quota"] * 3]
    assert subjects == found
    assert "gitops.repository is not set" in report
    assert "Everything that team needs is present." in report


def test_a_failed_preflight_does_not_recommend_a_preflight(folder: Path) -> None:
    (folder / "aws").unlink()
    with pytest.raises(DeployError, match="team is not ready to be deployed: see `missing` above"):
        commands.run("preflight", "team")


@pytest.mark.parametrize("action", commands.ACTIONS)
def test_commands_for_real_clouds_are_rejected_in_the_shell_of_a_rehearsal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setenv("GROUNDWORK_REHEARSAL", "aws-dev")
    with pytest.raises(DeployError, match=f"rehearsal of aws-dev, and `make {action}` is for real clouds"):
        commands.run(action, "team", is_confirmed=True)
    assert log(folder) == []


@pytest.mark.parametrize("action", ["up", "destroy"])
def test_a_change_without_a_terminal_has_to_be_confirmed(
    folder: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    with pytest.raises(DeployError, match=f"team is not ready for `make {action}`.*Nothing has been changed"):
        commands.run(action, "team")
    assert f"`make {action} STACK=team YES=1`" in capsys.readouterr().err
    assert log(folder) == []


def test_an_example_address_range_is_enough_for_a_preview(folder: Path) -> None:
    file = folder / "stacks" / "Pulumi.team.yaml"
    file.write_text(SETTINGS.replace("192.88.99.0", "203.0.113.0"))
    assert commands.run("preview", "team") == 0
    with pytest.raises(DeployError, match="not ready for `make up`"):
        commands.run("up", "team", is_confirmed=True)


def test_hosts_of_examples_are_noted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "stacks" / "Pulumi.team.yaml"
    file.write_text(
        f"{SETTINGS}  groundwork:telemetry: {{alertEmail: ops@example.org}}\n"
        "  groundwork:gitops: {repository: 'https://git.acme.dev/acme/models.git'}\n"
    )
    commands.run("preflight", "team")
    report = capsys.readouterr().err
    assert "note     example      telemetry.alertEmail names example.org, which is an example host" in report
    assert "gitops.repository" not in report
    file.write_text(f"{SETTINGS}  groundwork:gitops: {{repository: 'https://git.example.com/acme/models.git'}}\n")
    commands.run("preflight", "team")
    assert "gitops.repository names git.example.com" in capsys.readouterr().err


def test_all_faults_are_reported_at_once_and_settings_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "stacks" / "Pulumi.team.yaml").write_text(SETTINGS.replace("acme", "Acme Inc"))
    for name in PROGRAMS:
        (folder / name).unlink()
    with pytest.raises(DeployError):
        commands.run("up", "team")
    report = capsys.readouterr().err
    subjects = [line.split()[1] for line in report.splitlines() if line.startswith("  missing")]
    assert subjects == ["settings", "pulumi", "aws", "confirmation"]
    assert "note     backend" in report
    assert "groundwork:organization = 'Acme Inc'" in report


def test_an_unknown_stack_is_an_error_that_suggests_the_nearest(folder: Path) -> None:  # noqa: ARG001
    with pytest.raises(DeployError, match=r"There is no stack 'taem'.*Did you mean 'team'\?"):
        commands.run("up", "taem")


def test_a_key_service_that_the_file_names_encrypts_the_new_stack(folder: Path) -> None:
    """By default the engine would use a passphrase instead, and write that to the file."""
    file = folder / "stacks" / "Pulumi.team.yaml"
    file.write_text(f"secretsprovider: awskms://alias/state\n{SETTINGS}")
    commands.run("preview", "team")
    assert log(folder)[0] == "stack init team --secrets-provider awskms://alias/state --non-interactive"


def test_changes_of_the_file_by_the_engine_are_to_be_committed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "stacks" / "Pulumi.team.yaml"
    writing = PROGRAMS["pulumi"].replace('touch "$0.stack"', f'touch "$0.stack"; echo "encryptionsalt: v1" >> {file}')
    write_program(folder / "pulumi", writing)
    commands.run("preview", "team")
    assert "Commit Pulumi.team.yaml" in capsys.readouterr().err


@pytest.fixture
def make() -> Callable[..., str]:
    """The command that a target of the Makefile would run."""

    def print_command(*arguments: str) -> str:
        command = ["make", "--dry-run", "--no-print-directory", "--old-file=.venv/.ready", *arguments]
        output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return next(line for line in output.splitlines() if "-m deploy" in line).split(" -m deploy ")[1].strip()

    return print_command


@pytest.mark.parametrize("action", commands.ACTIONS)
def test_make_runs_each_command(make: Callable[..., str], action: str) -> None:
    assert make(action, "STACK=team-b") == f"{action} 'team-b'"


@pytest.mark.parametrize(("variable", "option"), [("YES=1", " --yes"), ("YES=0", ""), ("YES=", ""), ("YES=no", "")])
def test_only_yes_means_yes(make: Callable[..., str], variable: str, option: str) -> None:
    assert make("up", "STACK=team", variable) == f"up 'team'{option}"


def deployed(folder: Path, outputs: dict[str, object]) -> None:
    """Have Pulumi export the state of a deployment with these outputs."""
    resources = [{"type": "groundwork:core:DeployedSettings", "urn": "urn", "outputs": outputs}]
    (folder / "pulumi.state").write_text(json.dumps({"version": 3, "deployment": {"resources": resources}}))


def deployed_settings(**changed: object) -> dict[str, object]:
    return {**check(stack_file.parse(SETTINGS.encode(), "groundwork", "team"), "team").dump(), **changed}


def test_changes_of_settings_are_reported_before_a_deployment(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deployed(folder, {"settings": deployed_settings(owner="others")})
    commands.run("up", "team", is_confirmed=True)
    message = "team is already deployed, and its settings change:\n  - groundwork:owner 'others' -> 'ml'"
    assert message in capsys.readouterr().err
    assert [line for line in log(folder) if line.startswith("up ")]


def test_the_settings_behind_a_refusal_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = "<{%fg 9%}>error: <{%reset%}>VpcLimitExceeded in eu-west-1"
    event = {"urn": "urn:pulumi:team::p::aws:ec2/vpc:Vpc::network", "message": message, "severity": "error"}
    (folder / "pulumi.events").write_text(json.dumps({"diagnosticEvent": event}) + "\n")
    (folder / "pulumi.preview").write_text("42")
    assert commands.run("up", "team", is_confirmed=True) == 42
    report = capsys.readouterr().err
    assert (
        "depends on these settings in stacks/Pulumi.team.yaml:\n  - groundwork:location = 'eu-west-1' (line 4)"
        in report
    )


@pytest.mark.parametrize("action", ["preview", "up"])
def test_a_change_of_a_fixed_setting_stops_the_command(folder: Path, action: str) -> None:
    deployed(folder, {"settings": deployed_settings(organization="other")})
    with pytest.raises(DeployError, match=r"organization 'other' -> 'acme'.* fixed: "):
        commands.run(action, "team", is_confirmed=True, confirmed_losses=["organization"])
    assert log(folder) == []


def test_a_loss_of_data_is_shown_by_a_preview_and_confirmed_for_a_deployment(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(folder, {"settings": deployed_settings(telemetry={"retentionDays": 90, "alertEmail": ""})})
    commands.run("preview", "team")
    assert "telemetry.retentionDays 90 -> 30: loses data" in capsys.readouterr().err
    with pytest.raises(DeployError, match=r"CONFIRM=telemetry\.retentionDays"):
        commands.run("up", "team", is_confirmed=True)
    commands.run("up", "team", is_confirmed=True, confirmed_losses=["telemetry.retentionDays"])
    assert [line.split()[0] for line in log(folder)] == ["stack", "preview", "preview", "up"]


def test_a_deployment_without_recorded_settings_is_not_compared(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(folder, {})
    commands.run("preview", "team")
    assert "so they are not compared" in capsys.readouterr().err


def test_a_loss_of_data_stops_a_deployment_until_it_is_approved(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pulumi.events").write_text(events(step("replace", causes=["storageEncrypted"])))
    loss = "team would lose data without approval"
    assert commands.run("preview", "team") == 0
    assert f"`make up` refuses this: {loss}" in capsys.readouterr().err
    with pytest.raises(DeployError, match=f"Nothing has been changed: {loss}"):
        commands.run("up", "team", is_confirmed=True)
    approval = {"stack": "team", "urn": urn(DATABASE, "orders"), "operation": "replace", "reason": "new"}
    entry = [*(f"{key}: {value}" for key, value in approval.items()), f"approver: ada, expires: {find_today()}"]
    (folder / "stacks" / "approvals.yaml").write_text(f"- {{{', '.join(entry)}}}\n")
    assert commands.run("up", "team", is_confirmed=True) == 42
    assert [line.split()[0] for line in log(folder)] == ["stack", "preview", "preview", "preview", "up"]
    assert "approved by ada" in capsys.readouterr().err


def test_a_preview_whose_losses_are_unknown_stops_a_deployment(folder: Path) -> None:
    for text in ("", events(step("vanish"))):
        (folder / "pulumi.events").write_text(text)
        with pytest.raises(
            DeployError, match="It is not known which data a deployment of team would lose: The preview "
        ):
            commands.run("up", "team", is_confirmed=True)
    assert [line for line in log(folder) if line.startswith("up ")] == []


@pytest.mark.parametrize("action", ["preflight", "preview", "up"])
def test_invalid_approvals_are_reported_before_anything_starts(folder: Path, action: str) -> None:
    (folder / "stacks" / "approvals.yaml").write_text("- stack: taem")
    with pytest.raises(DeployError, match=r"stacks/approvals.yaml: the approval for None None in taem needs 'operat"):
        commands.run(action, "team", is_confirmed=True)
    assert log(folder) == []


@pytest.mark.parametrize(("answer", "runs"), [("y", ["preview", "up"]), ("", ["preview"]), ("no", ["preview"])])
def test_a_person_is_prompted_after_the_preview(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, runs: list[str]
) -> None:
    monkeypatch.setattr(commands, "Engine", lambda programs, **_: Engine(programs, is_interactive=True))
    monkeypatch.setattr("builtins.input", lambda question: answer if "Deploy this to team? [y/N]" in question else "")
    commands.run("up", "team")
    assert [line.split()[0] for line in log(folder)][1:] == runs
