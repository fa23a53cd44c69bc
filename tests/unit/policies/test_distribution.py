"""The pack as a separate folder: it starts in another project's folder, with that project's exceptions.

Proves through the engine's protocol, without an engine, that the pack needs only its folder and the installed packages
in the folder's requirements. tests/engine/test_adopted_pack.py has the real engine.
Does not prove that Pulumi's own language host creates the folder's environment.
"""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf import empty_pb2
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc

from kernel.reviewed_entries import find_today
from policies import controls
from policies.distribution import REQUIREMENTS, main, select_requirements, write_pack
from tests.support.policies.analyzer import build_request, urn
from tests.support.policies.azure_cases import STORAGE
from tests.support.policies.cases import Declared

# Imported modules, and the required distributions that provide them; grpc and protobuf are dependencies of pulumi.
IMPORTED = {
    "pulumi": "pulumi",
    "pulumi_policy": "pulumi-policy",
    "yaml": "pyyaml",
    "grpc": "pulumi",
    "google": "pulumi",
}
CONTROL = "azure-storage-anonymous-blobs"
OPEN = Declared(STORAGE, {"allowBlobPublicAccess": True}, "site")


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vendor") / "pack"
    write_pack(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Another project, which has packages with the same names as the pack's."""
    for name in ("policies", "kernel"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('this is not the pack')\n")
    return tmp_path


@contextmanager
def started(pack: Path, project: Path) -> Iterator[Any]:
    """The pack in a process, as the engine's language host starts it for a program in the project's folder."""
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(pack)]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stderr
    line = process.stdout.readline()
    assert line, process.stderr.read()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{int(line)}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)


def configure(analyzer: Any, **settings: Any) -> None:
    config = proto.PolicyConfig()
    config.properties.update(settings)
    analyzer.Configure(proto.ConfigureAnalyzerRequest(policyConfig={"exceptions": config}))


def write_exceptions(project: Path, **fields: Any) -> None:
    entry = {"control": CONTROL, "resource": "site", "owner": "web", "reason": "a public web site", **fields}
    (project / "exceptions.yaml").write_text(yaml.safe_dump([entry]))


def evaluate(analyzer: Any, resource: Declared = OPEN) -> list[str]:
    found = analyzer.Analyze(build_request(resource)).diagnostics
    return [each.message for each in found if each.policyName == CONTROL]


def conclude(analyzer: Any, *resources: Declared) -> list[str]:
    """The pack's messages about exceptions when the program has declared everything."""
    declared = [proto.AnalyzerResource(type=each.type, urn=urn(each), name=each.name) for each in resources]
    found = analyzer.AnalyzeStack(proto.AnalyzeStackRequest(resources=declared)).diagnostics
    return [each.message for each in found if each.policyName == "exceptions"]


def in_days(days: int) -> date:
    return find_today() + timedelta(days=days)


@pytest.mark.usefixtures("without_collector")
def test_all_imports_are_in_the_pack_or_required(pack: Path) -> None:
    roots = set()
    for file in pack.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                roots |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots.add((node.module or "").split(".")[0])
    foreign = roots - set(sys.stdlib_module_names) - {"policies", "kernel"}
    assert foreign <= IMPORTED.keys()
    assert {IMPORTED[name] for name in foreign} == set(REQUIREMENTS)


def test_its_requirements_are_the_locked_ones_with_their_dependencies(pack: Path) -> None:
    lines = (pack / "requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in lines if "==" in line}
    assert {*REQUIREMENTS, "grpcio", "protobuf"} <= names
    assert not names & {"mlflow", "pulumi-aws", "pytest"}
    assert sum("--hash=sha256:" in line for line in lines) >= len(names)


def test_dependencies_of_a_requirement_are_selected() -> None:
    lock = (
        "a==1 \\\n    --hash=sha256:1\n    # via pulumi\nb==2\n    # via\n    #   c\n    #   a\n"
        "c==3\n    # via -r requirements.in\n"
        "pulumi==4\n    # via -r requirements.in\n"
    )
    assert select_requirements(lock) == lock.replace("c==3\n    # via -r requirements.in\n", "")


def test_the_pack_has_its_own_environment_and_none_of_this_projects_exceptions(pack: Path) -> None:
    assert yaml.safe_load((pack / "policies" / "exceptions.yaml").read_text()) == []
    assert yaml.safe_load((pack / "PulumiPolicy.yaml").read_text())["runtime"]["options"] == {"virtualenv": ".venv"}


@pytest.mark.process
def test_it_serves_every_control_in_another_project(pack: Path, project: Path) -> None:
    with started(pack, project) as analyzer:
        info = analyzer.GetAnalyzerInfo(empty_pb2.Empty())
        assert {policy.name for policy in info.policies} == {*(control.id for control in controls()), "exceptions"}
        assert len(evaluate(analyzer)) == 1


@pytest.mark.process
def test_the_projects_exceptions_cover_by_name_type_and_stack(pack: Path, project: Path) -> None:
    with started(pack, project) as analyzer:
        for fields, covers in (
            ({}, True),
            ({"type": STORAGE, "stack": "test"}, True),
            ({"type": "azure-native:storage:*", "stack": "t*"}, True),
            ({"stack": "prod"}, False),
            ({"type": "aws:*"}, False),
            ({"resource": "sit"}, False),
        ):
            write_exceptions(project, expires=in_days(90), **fields)
            configure(analyzer, file="exceptions.yaml")
            assert (evaluate(analyzer) == []) is covers, fields


@pytest.mark.process
def test_an_exception_fails_when_it_expires_and_warns_before(pack: Path, project: Path) -> None:
    with started(pack, project) as analyzer:
        for days, messages in ((31, 0), (30, 1), (0, 1)):
            write_exceptions(project, expires=in_days(days))
            configure(analyzer, file="exceptions.yaml")
            assert evaluate(analyzer) == []
            warnings = conclude(analyzer, OPEN)
            assert len(warnings) == messages
            assert all(f"expires on {in_days(days)}" in text and "owner: web" in text for text in warnings)
        write_exceptions(project, expires=in_days(-1))
        configure(analyzer, file="exceptions.yaml")
        (violation,) = evaluate(analyzer)
        assert f"its exception expired on {in_days(-1)} (owner: web)" in violation


@pytest.mark.process
def test_an_exception_that_nothing_needs_is_reported(pack: Path, project: Path) -> None:
    closed = Declared(STORAGE, {"allowBlobPublicAccess": False}, "site")
    with started(pack, project) as analyzer:
        write_exceptions(project, expires=in_days(90))
        configure(analyzer, file="exceptions.yaml")
        assert evaluate(analyzer, closed) == []
        (message,) = conclude(analyzer, closed)
        assert "is not used because the resource meets the control" in message
        # Another stack may have the resource, unless the exception is for this one.
        other = Declared(STORAGE, {"allowBlobPublicAccess": False}, "other")
        assert conclude(analyzer, other) == []
        # A resource that the control does not evaluate does not matter, even with the same name.
        assert conclude(analyzer, Declared("aws:s3/bucket:Bucket", {}, "site")) == []
        write_exceptions(project, expires=in_days(90), stack="test")
        configure(analyzer, file="exceptions.yaml")
        (message,) = conclude(analyzer, other)
        assert "is not used because test has no such resource" in message


@pytest.mark.process
@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (None, {}, "exceptions.yaml cannot be read: No such file or directory"),
        ("- a: [", {}, "line 1, column 7: this is not YAML"),
        ("text", {}, "must be a list of entries with control, resource, owner, reason, expires"),
        ("- {control: x}", {}, "needs 'owner'"),
        ("[]", {"files": "x"}, "'exceptions' has no setting 'files'"),
        ("late", {}, "which is too late: it may expire on"),
        ("late", {"longestTermDays": 20}, f"it may expire on {in_days(20)} at the latest"),
    ],
)
def test_problems_with_exceptions_are_reported_in_one_message(
    pack: Path, project: Path, content: str | None, settings: dict[str, Any], message: str
) -> None:
    if content == "late":
        write_exceptions(project, expires=in_days(21 if settings else 367))
    elif content is not None:
        (project / "exceptions.yaml").write_text(content)
    with started(pack, project) as analyzer, pytest.raises(grpc.RpcError) as caught:
        configure(analyzer, file="exceptions.yaml", **settings)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert message in caught.value.details()


def test_the_command_overwrites_a_pack_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack = tmp_path / "pack"
    assert main([str(pack)]) == 0
    (pack / "policies" / "old.py").touch()
    (pack / ".venv").mkdir()
    assert main([str(pack)]) == 0
    assert (pack / ".venv").exists()
    assert not (pack / "policies" / "old.py").exists()
    # Another pack must not be deleted.
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "PulumiPolicy.yaml").touch()
    (tmp_path / "mine" / "__main__.py").write_text("rules = []\n")
    assert main([str(tmp_path / "mine")]) == 1
    assert "has files and is not a policy pack" in capsys.readouterr().err
    assert len(list((tmp_path / "mine").iterdir())) == 2
