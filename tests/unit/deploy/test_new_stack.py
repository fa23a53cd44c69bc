"""What `make new-stack` asks, writes and refuses.

Proves the questions, the file and its settings. tests/engine proves that a stack with any name is deployed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
import yaml

from deploy import new_stack
from deploy.errors import DeployError
from deploy.gitops import EXPERIMENT_FILES
from deploy.new_stack import ask_for_answers, check_answers, complete_answers, parse_arguments, write_files
from infra.core.stack_config import check
from kernel import stack_file

ANSWERS = {
    "STACK": "azure-qa",
    "CLOUD": "azure",
    "ENVIRONMENT": "staging",
    "LOCATION": "northeurope",
    "ORGANIZATION": "umbrella",
    "OWNER": "ml-platform",
    "AUTHORIZED_RANGES": "192.88.99.0/24, 192.88.98.7/32",
}
SETTINGS = Path("stacks/Pulumi.azure-qa.yaml")
KUSTOMIZATION = Path("platform/gitops/stacks/azure-qa/kustomization.yaml")


def write(root: Path, **changed: str) -> str:
    answers = {**ANSWERS, **changed}
    return write_files(answers, check_answers(answers, root), root)


def test_the_file_has_the_answers_and_is_valid(tmp_path: Path) -> None:
    output = write(tmp_path)
    assert (tmp_path / SETTINGS).read_text() == (
        "config:\n"
        "  groundwork:cloud: azure\n"
        "  groundwork:environment: staging\n"
        "  groundwork:location: northeurope\n"
        "  groundwork:organization: umbrella\n"
        "  groundwork:owner: ml-platform\n"
        "  groundwork:cluster:\n"
        "    authorizedRanges: [192.88.99.0/24, 192.88.98.7/32]\n"
    )
    assert "umbrella-gw-qa" in output
    assert "make rehearse STACK=azure-qa" in output
    assert "make preview STACK=azure-qa" in output
    assert "replace" not in output
    kustomization = yaml.safe_load((tmp_path / KUSTOMIZATION).read_text())
    assert kustomization["components"] == ["../../overlays/staging"]
    assert re.fullmatch(r"umbrellagwqacr[0-9a-f]{5}\.azurecr\.io/serving", kustomization["images"][0]["newName"])


@pytest.mark.parametrize("owner", ["NO", "12:30:45", "0042", "null", "a: b", "- a", "Ünï", "[x]", "{x: y}", "'", '"'])
def test_an_answer_that_looks_like_another_type_is_text(tmp_path: Path, owner: str) -> None:
    write(tmp_path, OWNER=owner)
    file = stack_file.read(tmp_path / SETTINGS, "groundwork")
    assert check(file, "azure-qa").owner == owner


@pytest.mark.parametrize("example", ["203.0.113.0/24", "198.51.100.7/32", "192.0.2.128/25"])
def test_an_example_address_range_is_marked_as_an_example(tmp_path: Path, example: str) -> None:
    output = write(tmp_path, AUTHORIZED_RANGES=example)
    assert f"replace {example}" in output
    text = (tmp_path / SETTINGS).read_text()
    assert "# An example" in text
    assert yaml.safe_load(text)["config"]["groundwork:cluster"] == {"authorizedRanges": [example]}


@pytest.mark.parametrize("existing", [SETTINGS, KUSTOMIZATION])
def test_an_existing_stack_is_not_overwritten(tmp_path: Path, existing: Path) -> None:
    settings = check_answers(ANSWERS, tmp_path)
    (tmp_path / existing).parent.mkdir(parents=True)
    (tmp_path / existing).write_text("config: {}\n")
    with pytest.raises(
        DeployError, match=f"There is already a stack 'azure-qa': {existing} exists. Choose another name; or edit"
    ):
        write(tmp_path)
    with pytest.raises(DeployError, match=f"{existing} cannot be written: File exists"):
        write_files(ANSWERS, settings, tmp_path)  # somebody has created it since the check
    assert (tmp_path / existing).read_text() == "config: {}\n"
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.yaml")] == [existing]


@pytest.mark.parametrize(
    ("stack", "cloud", "location", "note"),
    [
        ("research-azure", "aws", "eu-west-1", "its name says azure, but it is staging on aws"),
        ("aws.prod.eu", "azure", "westeurope", "its name says aws and prod, but it is staging on azure"),
        ("azure-qa", "azure", "westeurope", ""),
        ("reproduction-awsome", "azure", "westeurope", ""),
    ],
)
def test_a_name_that_contradicts_the_settings_is_noted(
    tmp_path: Path, stack: str, cloud: str, location: str, note: str
) -> None:
    output = write(tmp_path, STACK=stack, CLOUD=cloud, LOCATION=location)
    assert note in output
    assert ("Note: " in output) is bool(note)
    assert not note or f"delete stacks/Pulumi.{stack}.yaml and platform/gitops/stacks/{stack}" in output


@pytest.mark.parametrize(("stack", "cloud"), [("research-azure", "azure"), ("AWS-eu", "aws"), ("awsome", "")])
def test_a_cloud_in_the_name_is_suggested(tmp_path: Path, stack: str, cloud: str) -> None:
    questions: list[str] = []

    def answer(question: str) -> str:
        questions.append(question)
        return "azure"

    ask_for_answers({**ANSWERS, "STACK": stack, "CLOUD": ""}, tmp_path, answer)
    assert questions == [f"Cloud: azure or aws{cloud and f' [{cloud}]'}: "]


def test_all_invalid_answers_are_reported_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DeployError) as raised:
        write(tmp_path, STACK="azure qa", CLOUD="azur", ORGANIZATION="Acme Inc", AUTHORIZED_RANGES="192.88.99.1/24")
    for part in (
        "'azure qa' is not a name",
        "groundwork:cloud = 'azur'",
        "groundwork:organization",
        "first address of its block",
    ):
        assert part in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_region_of_the_other_cloud_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="is a region of aws, but cloud is azure"):
        write(tmp_path, LOCATION="eu-west-1")


def test_arguments_are_what_make_passes() -> None:
    arguments = [f"{name}={value}" for name, value in ANSWERS.items()]
    assert complete_answers(parse_arguments(arguments)) == ANSWERS
    with pytest.raises(DeployError, match="'OWNR=ml' is not an argument of `make new-stack`: use STACK=, CLOUD="):
        parse_arguments(["OWNR=ml"])


def test_all_missing_arguments_are_reported_if_there_is_no_terminal() -> None:
    with pytest.raises(DeployError) as raised:
        complete_answers(parse_arguments(["STACK=aws-qa", "CLOUD=aws", "OWNER="]))
    named = [line.split("=")[0].strip() for line in str(raised.value).splitlines()[1:]]
    assert named == ["ENVIRONMENT", "LOCATION", "ORGANIZATION", "OWNER"]


def test_missing_answers_are_prompted_for_until_they_are_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.aws-dev.yaml").touch()
    lines = ["aws-dev", "my stack", "aws-prod-eu", "", "", "westeurope", "eu-west-1", "ACME", "acme", "", "ml", ""]
    questions: list[str] = []
    replies = iter(lines)

    def answer(question: str) -> str:
        questions.append(question)
        return next(replies)

    answers = ask_for_answers({}, tmp_path, answer)
    assert answers == {
        "STACK": "aws-prod-eu",
        "CLOUD": "aws",
        "ENVIRONMENT": "prod",
        "LOCATION": "eu-west-1",
        "ORGANIZATION": "acme",
        "OWNER": "ml",
        "AUTHORIZED_RANGES": "203.0.113.0/24",
    }
    assert next(replies, None) is None
    assert "Cloud: azure or aws [aws]: " in questions
    assert "Class of defaults: dev, staging or prod [prod]: " in questions
    printed = capsys.readouterr().err
    for part in ("There is already a stack 'aws-dev'", "'my stack' is not a name", "is a region of azure", "'ACME'"):
        assert part in printed


def test_valid_arguments_are_not_prompted_for_and_invalid_ones_are(tmp_path: Path) -> None:
    replies = iter(["aws"])
    answers = ask_for_answers({**ANSWERS, "CLOUD": "gcp", "LOCATION": "eu-west-1"}, tmp_path, lambda _: next(replies))
    assert answers == {**ANSWERS, "CLOUD": "aws", "LOCATION": "eu-west-1"}


def test_the_command_writes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(new_stack, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "stdin", StringIO())
    monkeypatch.setattr(sys, "argv", ["new_stack", *(f"{name}={value}" for name, value in ANSWERS.items())])
    assert new_stack.main() == 0
    assert new_stack.main() == 1
    assert "error: There is already a stack 'azure-qa'" in capsys.readouterr().err
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.yaml")}
    experiments = {KUSTOMIZATION.parent / "experiments" / name for name in EXPERIMENT_FILES}
    assert written == {SETTINGS, KUSTOMIZATION, *experiments}


def test_shipped_stacks_have_the_experiments_folder_of_new_stacks() -> None:
    folders = [file.parent for file in Path("platform/gitops/stacks").glob("*/kustomization.yaml")]
    assert folders
    for folder in folders:
        assert {file.name: file.read_text() for file in (folder / "experiments").iterdir()} == EXPERIMENT_FILES


@pytest.mark.process
def test_make_passes_only_variables_of_its_command_line() -> None:
    command = ["make", "--dry-run", "--silent", "new-stack", "STACK=aws-qa", "OWNER=a 'b' team"]
    run = subprocess.run(
        command,
        cwd=new_stack.ROOT,
        env={"PATH": "/usr/bin:/bin", "LOCATION": "mars"},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in run.stdout.splitlines() if "deploy.new_stack" in line]
    assert shlex.split(line.split("deploy.new_stack ")[1]) == ["STACK=aws-qa", "OWNER=a 'b' team"]
