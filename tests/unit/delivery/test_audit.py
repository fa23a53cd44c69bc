"""The audit of a state, of a log and of manifests, in each format, with valid and invalid input.

The engine is a script here that records its arguments and prints prepared events. tests/engine/test_adopted_pack.py
proves that the real one prints such events, test_sarif.py that SARIF is valid against its schema.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import policies
from delivery import __main__ as command
from delivery.findings import SEVERITIES

SUMMARY: dict[str, Any] = {"summaryEvent": {}}
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: web\n"
PRIVILEGED = """apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: web}
spec:
  template:
    spec:
      hostNetwork: true
      containers: [{name: main, image: ghcr.io/acme/shop:1}]
"""


def control(severity: str) -> str:
    return next(each.id for each in policies.controls() if each.severity == severity)


def event(policy: str, level: str = "mandatory", stack: str = "shop") -> dict[str, Any]:
    urn = f"urn:pulumi:{stack}::web::aws:s3/bucket:Bucket::site"
    found = {"policyName": policy, "enforcementLevel": level, "message": "site: open", "resourceUrn": urn}
    return {"policyEvent": found}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `pulumi`, which prints the file `answer` beside it and writes its arguments to `call`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "pulumi"
    script.write_text(
        f"#!{sys.executable}\nimport json, pathlib, sys\nhere = pathlib.Path(__file__).parent\n"
        "if sys.argv[1] == 'stack':\n"
        "    sys.exit(pathlib.Path(sys.argv[-1]).write_text(' '.join(sys.argv[1:])) * 0)\n"
        "config = sys.argv[sys.argv.index('--policy-pack-config') + 1]\n"
        "file = pathlib.Path(sys.argv[4])\n"
        "call = {'arguments': sys.argv[1:], 'state': file.read_text(),\n"
        " 'configuration': json.loads(pathlib.Path(config).read_text())}\n"
        "(here / 'call').write_text(json.dumps(call))\n"
        "print((here / 'answer').read_text())\n"
        "print('error: passphrase must be set', file=sys.stderr)\nsys.exit(1)\n"
    )
    script.chmod(0o755)
    answer(folder, event(control("high")), event("undecided", "advisory"), SUMMARY)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def answer(engine: Path, *events: dict[str, Any]) -> None:
    (engine / "answer").write_text("\n".join(json.dumps(each) for each in events))


def export(folder: Path, version: Any = 3, *stacks: str) -> Path:
    resources = [{"urn": f"urn:pulumi:{stack}::web::a:b:C::x"} for stack in (stacks or ("shop",))]
    path = folder / "export.json"
    path.write_text(json.dumps({"version": version, "deployment": {"resources": resources}}))
    return path


def audit(*options: object, stack: str = "azure-dev") -> int:
    return command.main(["audit", stack, *map(str, options)])


@pytest.mark.process
def test_an_export_is_analyzed_as_the_stack_that_it_belongs_to(
    engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = export(tmp_path)
    assert audit("--file", file) == 1
    printed = capsys.readouterr().out
    assert "shop: 1 violations of policies, 1 notes" in printed
    assert printed.startswith("error  high")
    call = json.loads((engine / "call").read_text())
    assert call["arguments"][:4] == ["policy", "analyze", "--file", str(file)]
    assert call["configuration"] == policies.configure_pack({})


@pytest.mark.process
def test_a_stack_is_analyzed_with_its_settings(engine: Path) -> None:
    answer(engine, SUMMARY)
    assert audit() == 0
    call = json.loads((engine / "call").read_text())
    assert call["state"].startswith("stack export --stack azure-dev --file ")
    assert not Path(call["arguments"][3]).exists(), "a state is not left behind"
    assert "docker.io/*" in call["configuration"]["k8s-pod-image-registry"]["allowed"]


def test_the_pack_is_configured_with_the_stacks_registries() -> None:
    configured = policies.configure_pack({"groundwork:images": '{"registries": ["registry.example.com/*"]}'})
    assert configured["k8s-pod-image-registry"]["allowed"][-1] == "registry.example.com/*"


@pytest.mark.process
@pytest.mark.parametrize("level", ["", *SEVERITIES])
def test_the_exit_status_depends_on_the_level(engine: Path, tmp_path: Path, level: str) -> None:
    answer(engine, event(control("medium")), SUMMARY)
    expected = 0 if level in ("critical", "high") else 1
    assert audit("--file", export(tmp_path), *(["--level", level] if level else [])) == expected


@pytest.mark.process
def test_json_has_every_field(engine: Path, tmp_path: Path) -> None:  # noqa: ARG001 is on PATH
    output = tmp_path / "audit.json"
    assert audit("--file", export(tmp_path), "--format", "json", "--output", output) == 1
    content = json.loads(output.read_text())
    assert content["subject"] == "shop"
    assert [each["level"] for each in content["findings"]] == ["error", "note"]
    assert content["findings"][0]["severity"] == "high"


@pytest.mark.process
def test_junit_has_a_test_for_each_control(engine: Path, tmp_path: Path) -> None:
    output = tmp_path / "audit.xml"
    answer(engine, event(control("high")), event(control("low"), "advisory"), event("undecided", "advisory"), SUMMARY)
    assert audit("--file", export(tmp_path), "--format", "junit", "--output", output) == 1
    (suite,) = ElementTree.parse(output).getroot()  # noqa: S314 written by the test
    names = [case.get("name") for case in suite]
    assert names == [*(each.id for each in policies.controls()), "undecided"]
    assert suite.get("tests") == str(len(names))
    (failed,) = [case for case in suite if case.find("failure") is not None]
    assert (failed.get("name"), suite.get("failures")) == (control("high"), "1")
    assert failed.findtext("failure") == "site: site: open"
    assert {case.get("name") for case in suite if case.find("system-out") is not None} == {control("low"), "undecided"}


def test_manifests_are_evaluated_together_and_named_by_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "all.yaml").write_text(f"{NAMESPACE}---\n{PRIVILEGED}")
    (tmp_path / "values.yaml").write_text("replicas: 2\n")
    assert audit("--manifests", tmp_path, "--format", "json") == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    by_control = {each["policy"]: each for each in findings}
    host = by_control["k8s-pod-host-namespaces"]
    assert (host["resource"], host["line"], host["level"]) == ("Deployment/web/shop", 6, "error")
    assert host["file"].endswith("charts/all.yaml")
    # This control evaluates all objects: a policy in the namespace satisfies it.
    assert by_control["k8s-namespace-network-policy"]["resource"] == "Namespace/web"
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"namespace": "web"}}
    listed = {"apiVersion": "v1", "kind": "List", "items": [{**policy, "spec": {"podSelector": {}}}]}
    (tmp_path / "policy.json").write_text(json.dumps(listed))
    audit("--manifests", tmp_path, "--format", "json")
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert "k8s-namespace-network-policy" not in {each["policy"] for each in findings}


def test_a_log_is_audited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, output = tmp_path / "events.jsonl", tmp_path / "policies.sarif"
    log.write_text(json.dumps(event(control("high"))) + "\n")
    assert audit("--log", log, "--format", "sarif", "--output", output, stack="team") == 1
    assert f"team: 1 violations of policies, 0 notes ({output})" in capsys.readouterr().out
    assert json.loads(output.read_text())["version"] == "2.1.0"


def read_error(capsys: pytest.CaptureFixture[str]) -> str:
    """The one message of a failed command."""
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert printed.err.startswith("error: ")
    return printed.err


@pytest.mark.parametrize(
    ("content", "message"), [("", "There are no events in"), ("not json\n", "is not a log of the engine's events")]
)
def test_an_invalid_log_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    (tmp_path / "events").write_text(content)
    assert audit("--log", tmp_path / "events") == 1
    assert message in read_error(capsys)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "is not JSON"),
        ("\xff", "is not JSON"),
        ("[]", "is not an exported state: it has no `version` and `deployment`"),
        ('{"version": 3}', "is not an exported state"),
        ('{"version": "3", "deployment": {}}', "is not an exported state"),
        ('{"version": 9, "deployment": {}}', "has version 9 of the state format, but the engine reads 1 to 4"),
        ('{"version": 3, "deployment": {"resources": []}}', "has resources without a stack"),
        ('{"version": 3, "deployment": {"resources": [1, {"urn": null}]}}', "has resources without a stack"),
    ],
)
def test_an_invalid_export_has_one_message(
    engine: Path,  # noqa: ARG001 is on PATH
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    message: str,
) -> None:
    file = tmp_path / "export.json"
    if content is not None:
        file.write_text(content, encoding="latin-1")
    assert audit("--file", file) == 1
    assert message in read_error(capsys)


def test_an_export_of_two_stacks_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit("--file", export(tmp_path, 3, "one", "two")) == 1
    assert "has resources of 2 stacks" in read_error(capsys)


@pytest.mark.process
def test_the_error_of_a_failed_engine_is_quoted(
    engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(engine)
    assert audit("--file", export(tmp_path)) == 1
    assert "The state could not be analyzed: passphrase must be set." in read_error(capsys)


@pytest.mark.process
def test_a_stack_that_is_not_in_the_backend_is_named(engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (engine / "pulumi").write_text("#!/bin/sh\necho \"error: no stack named 'azure-dev' found\" >&2\nexit 255\n")
    assert audit() == 1
    assert "The state of azure-dev cannot be read: no stack named 'azure-dev' found." in read_error(capsys)


def test_a_missing_engine_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert audit("--file", export(tmp_path)) == 1
    assert "`pulumi` is not on PATH" in read_error(capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "html"], "'html' is not a valid format: use one of table, json, sarif, junit."),
        (["--level", "severe"], "'severe' is not a valid level: use one of critical, high, medium, low."),
        (["--manifests", "/nowhere"], "/nowhere is not a folder"),
    ],
)
def test_an_unknown_option_value_is_reported(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert audit(*options) == 1
    assert message in read_error(capsys)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", "kind: [", "a.yaml, line 1: this is not YAML"),
        ("a.yaml", "a: 1\n---\nkind: x\n  y: z\n", "a.yaml, line 4: this is not YAML"),
        ("a.yaml", "when: 2030-02-30\n", "a.yaml: this is not YAML: day is out of range"),
        ("a.json", "{", "a.json, line 1"),
        ("a.yaml", "kind: \xff", "a.yaml: this is not YAML"),
        ("a.txt", NAMESPACE, "has no manifests"),
        ("a.yaml", "replicas: 2\n", "has no manifests"),
    ],
)
def test_a_folder_without_readable_manifests_has_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content, encoding="latin-1")
    assert audit("--manifests", tmp_path) == 1
    assert message in read_error(capsys)


def test_an_unknown_stack_and_an_unwritable_output_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(stack="azure-dve") == 1
    assert "Did you mean 'azure-dev'?" in read_error(capsys)
    (tmp_path / "n.yaml").write_text(NAMESPACE)
    assert audit("--manifests", tmp_path, "--output", tmp_path / "no" / "x") == 1
    assert "cannot be written: No such file or directory" in read_error(capsys)


@pytest.mark.parametrize("manifest", ["[]", "null", "{}", "{metadata: []}", "{metadata: null, spec: 3}", "{kind: []}"])
def test_malformed_manifests_raise_no_error(tmp_path: Path, manifest: str) -> None:
    content = {"apiVersion": "v1", "kind": "Pod", "metadata": 1, "spec": [1]}
    (tmp_path / "a.yaml").write_text(f"{manifest}\n---\n{json.dumps(content)}\n---\napiVersion: 3\nkind: {{a: b}}\n")
    assert audit("--manifests", tmp_path) in (0, 1)
