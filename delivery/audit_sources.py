"""Where an audit's findings come from: the log of a run, a stack's state, or a folder of manifests."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

import policies
from delivery.errors import DeliveryError
from delivery.findings import Finding, Level, read_findings
from deploy.programs import ROOT, Programs
from deploy.stack import read_stack
from kernel.engine_events import read_events
from kernel.yaml_document import DocumentError, read_bytes

_PACK: Final = ROOT / "policies"
_TIMEOUT: Final = 1800.0  # seconds
# Versions of a state's export that the pinned engine reads.
# Source: https://github.com/pulumi/pulumi/blob/v3.255.0/pkg/resource/stack/deployment.go (DeploymentSchemaVersion...)
_STATE_VERSIONS: Final = range(1, 5)


def read_log(stack: str, log: Path) -> list[Finding]:
    """What the policies found in a run, by the engine's events. Raises DeliveryError."""
    try:
        events = list(read_events(log))
    except ValueError:
        raise DeliveryError(f"{log} is not a log of the engine's events, one JSON object per line.") from None
    if not events:
        raise DeliveryError(
            f"There are no events in {log}: `make preview STACK={stack} LOG=<file>` writes them, and "
            f"`make rehearse STACK={stack}` writes those of a rehearsal."
        )
    return read_findings(events, _settings_file(stack))


def analyze_stack(stack: str, stacks: Path, programs: Programs) -> list[Finding]:
    """What the policies find in the state of a stack in its backend, without an update. Raises DeliveryError."""
    content = read_stack(stack, stacks).content
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder) / "export.json"
        # The file rather than the stack is analyzed: in a rehearsal's shell `pulumi policy` has no project.
        answer = programs.ask("pulumi", "stack", "export", "--stack", stack, "--file", str(export), timeout=_TIMEOUT)
        if answer.code:
            raise DeliveryError(f"The state of {stack} cannot be read: {answer.reason}.")
        events = _analyze(export, content.values if content else {}, programs)
    return read_findings(events, _settings_file(stack))


def analyze_export(export: Path, stacks: Path, programs: Programs) -> tuple[str, list[Finding]]:
    """The stack whose state was exported (`pulumi stack export`), and what the policies find. Raises DeliveryError.

    The settings of another project's stack are not known, so the controls use their defaults.
    """
    stack = _find_exported_stack(export)
    is_ours = (stacks / f"Pulumi.{stack}.yaml").is_file()
    content = read_stack(stack, stacks).content if is_ours else None
    events = _analyze(export.resolve(), content.values if content else {}, programs)
    return stack, read_findings(events, _show_path(export))


def evaluate_folder(folder: Path) -> list[Finding]:
    """What the policies find in the Kubernetes manifests of a folder, deployed together. Raises DeliveryError."""
    manifests = list(_read_folder(folder))
    if not manifests:
        raise DeliveryError(
            f"{folder} has no manifests: none of its *.yaml, *.yml and *.json has `kind` and `apiVersion`."
        )
    try:
        exceptions = policies.load_exceptions()
    except ValueError as error:
        raise DeliveryError(str(error)) from None
    found = policies.evaluate_manifests([each.content for each in manifests], exceptions=exceptions)
    return [_describe(each, manifests[each.index]) for each in found]


@dataclass(frozen=True)
class _Manifest:
    content: Mapping[str, Any]
    file: str
    line: int

    @property
    def label(self) -> str:
        metadata = self.content.get("metadata")
        names = [metadata.get("namespace"), metadata.get("name")] if isinstance(metadata, Mapping) else []
        return "/".join(str(part) for part in (self.content["kind"], *names) if part)


def _describe(found: policies.ManifestFinding, manifest: _Manifest) -> Finding:
    control, finding = found.control, found.finding
    place = (manifest.label, manifest.file, manifest.line)
    if isinstance(finding, policies.Undecided):
        return Finding(control.id, control.severity, "note", f"{finding.path} is not known", *place)
    level: Level = "error" if control.mandatory else "warning"
    return Finding(control.id, control.severity, level, control.violation_message(finding), *place)


def _read_folder(folder: Path) -> Iterator[_Manifest]:
    if not folder.is_dir():
        raise DeliveryError(f"{folder} is not a folder: set MANIFESTS to a folder with Kubernetes manifests.")
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".yaml", ".yml", ".json") and path.is_file():
            yield from _read_manifests(path)


def _read_manifests(path: Path) -> Iterator[_Manifest]:
    shown = _show_path(path)
    try:
        nodes = list(yaml.compose_all(read_bytes(path, shown), Loader=yaml.SafeLoader))
        for node in filter(None, nodes):
            content = yaml.SafeLoader("").construct_document(node)
            for item in _flatten(content):
                yield _Manifest(item, shown, node.start_mark.line + 1)
    except DocumentError as error:
        raise DeliveryError(str(error)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise DeliveryError(f"{shown}{where}: this is not YAML: {getattr(error, 'problem', None) or error}.") from None


def _flatten(content: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of a document: itself, or those in a List. Other documents, such as chart values, are skipped."""
    if not isinstance(content, Mapping) or not ({"kind", "apiVersion"} <= content.keys()):
        return
    items = content.get("items")
    if str(content["kind"]).endswith("List") and isinstance(items, list):
        for item in items:
            yield from _flatten(item)
    else:
        yield content


def _find_exported_stack(export: Path) -> str:
    """The stack of an exported state. Raises DeliveryError if the engine cannot read the file."""
    try:
        content = json.loads(export.read_bytes())
    except OSError as error:
        raise DeliveryError(f"{export} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise DeliveryError(
            f"{export} is not JSON ({error}): `pulumi stack export --file {export}` writes it."
        ) from None
    version = content.get("version") if isinstance(content, dict) else None
    deployment = content.get("deployment") if isinstance(content, dict) else None
    if not isinstance(version, int) or not isinstance(deployment, dict):
        raise DeliveryError(f"{export} is not an exported state: it has no `version` and `deployment`.")
    if version not in _STATE_VERSIONS:
        raise DeliveryError(
            f"{export} has version {version} of the state format, but the engine reads {_STATE_VERSIONS[0]} to "
            f"{_STATE_VERSIONS[-1]}: export it with this project's engine."
        )
    return _name_stack(export, deployment.get("resources") or [])


def _name_stack(export: Path, resources: Sequence[Any]) -> str:
    urns = [str(each.get("urn", "")) for each in resources if isinstance(each, dict)]
    named = {urn.split("::")[0].removeprefix("urn:pulumi:") for urn in urns if urn.startswith("urn:pulumi:")}
    if len(named) != 1:
        have = f"of {len(named)} stacks" if named else "without a stack"
        raise DeliveryError(
            f"{export} has resources {have}, but an audit needs exactly one: export one deployed stack."
        )
    return named.pop()


def _analyze(export: Path, configuration: Mapping[str, str], programs: Programs) -> list[dict[str, Any]]:
    """The events of `pulumi policy analyze`, to which the engine does not send the stack's configuration."""
    with tempfile.TemporaryDirectory() as folder:
        pack_configuration = Path(folder) / "policies.json"
        pack_configuration.write_text(json.dumps(policies.configure_pack(configuration)))
        options = ["--policy-pack", str(_PACK), "--policy-pack-config", str(pack_configuration), "--json"]
        answer = programs.ask("pulumi", "policy", "analyze", "--file", str(export), *options, timeout=_TIMEOUT)
    try:
        events = [json.loads(line) for line in answer.output.splitlines() if line.startswith("{")]
    except ValueError:
        events = []
    # It ends with a summary, whether there are violations or not.
    if not any("summaryEvent" in event for event in events):
        raise DeliveryError(f"The state could not be analyzed: {answer.reason}.")
    return events


def _settings_file(stack: str) -> str:
    return f"stacks/Pulumi.{stack}.yaml"


def _show_path(path: Path) -> str:
    """The path, relative to the current folder if it is inside, as scanning services expect it."""
    return Path(os.path.relpath(path)).as_posix() if path.resolve().is_relative_to(Path.cwd()) else path.as_posix()
