"""The forms of an object: as the program declares it, as the API server has it, and as Pulumi's state records it.

Everything here is pure; nothing calls the API server.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from kernel.paths import Path, look_up
from rehearsal.kubernetes.client import Object
from rehearsal.simulator.core.values import Values

FIELD_MANAGER_PROPERTY = "__fieldManager"  # the property in which the state records the object's field manager

# JSON Schema's extensions by Kubernetes, as Pulumi's SDKs name them.
# Source: underscoreToDashMap in https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/provider.go
_EXTENSIONS = {
    f"x_kubernetes_{name}": f"x-kubernetes-{name.replace('_', '-')}"
    for name in (
        "embedded_resource",
        "int_or_string",
        "list_map_keys",
        "list_type",
        "map_type",
        "preserve_unknown_fields",
        "validations",
    )
}
_UNDERSCORED = {dashed: name for name, dashed in _EXTENSIONS.items()}

# Metadata that only the API server sets.
# Source: https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.33/#objectmeta-v1-meta
_SERVER_SET_METADATA = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)


def to_manifest(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest that a resource's inputs declare."""
    declared = {key: value for key, value in inputs.items() if key != FIELD_MANAGER_PROPERTY}
    manifest: dict[str, Any] = _rename_keys(declared, _EXTENSIONS)
    if isinstance(manifest.get("metadata"), Mapping):
        metadata = {key: value for key, value in manifest["metadata"].items() if key not in _SERVER_SET_METADATA}
        manifest["metadata"] = metadata
    return manifest


def strip_server_fields(live: Object) -> dict[str, Any]:
    """A live object without its status and the API server's metadata: the part that a program could declare."""
    return to_manifest({key: value for key, value in live.items() if key != "status"})


def to_outputs(live: Object, inputs: Values, field_manager: str) -> Values:
    """The properties of an object for the state. Values that are secret in the inputs are secret in them too."""
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    plain = {**_rename_keys({**live, "metadata": metadata}, _UNDERSCORED), FIELD_MANAGER_PROPERTY: field_manager}
    return mark_secrets(Values(plain, {_cut_at_list(path) for path in inputs.secrets}))


def to_preview_outputs(dry_run: Object, inputs: Values, field_manager: str) -> Values:
    """The properties of an object that a dry run created. They have no status, though the dry run may have one."""
    return to_outputs({key: value for key, value in dry_run.items() if key != "status"}, inputs, field_manager)


def mark_secrets(values: Values) -> Values:
    """The values with the data of a Secret marked as secret too, and without absent or nested secret paths."""
    wanted = set(values.secrets)
    if values.plain.get("kind") == "Secret":
        wanted |= {("data",), ("stringData",)}
    present = {path for path in wanted if look_up(values.plain, path, None) is not None}
    # A secret within a secret would be wrapped twice.
    outermost = {path for path in present if not any(path[:end] in present for end in range(1, len(path)))}
    return Values(values.plain, outermost)


def project(live: Object, inputs: Values) -> Values:
    """A live object restricted to the properties of the inputs; a difference from the inputs is drift."""
    plain = _restrict(_rename_keys(live, _UNDERSCORED), inputs.plain)
    texts = inputs.plain.get("stringData")
    if live.get("kind") == "Secret" and isinstance(texts, Mapping):
        data = live.get("data", {})
        plain["stringData"] = {key: _decode_text(data[key]) for key in texts if key in data}
    return mark_secrets(Values(plain, set(inputs.secrets)))


def object_id(live: Object) -> str:
    """The ID of an object's resource: `namespace/name`, or the name of a cluster-wide object."""
    namespace, name = live["metadata"].get("namespace"), live["metadata"]["name"]
    return f"{namespace}/{name}" if namespace else str(name)


def describe(live: Object) -> str:
    """An object's name in messages: `Deployment serving/model`."""
    return f"{live['kind']} {object_id(live)}"


def get_pulumi_annotation(manifest: Object, name: str) -> str:
    """The annotation `pulumi.com/<name>`; empty if it is not set or unknown."""
    value = look_up(manifest, ("metadata", "annotations", f"pulumi.com/{name}"))
    return value if isinstance(value, str) else ""


def choose_field_manager(urn: str, manifest: Object, old_outputs: Mapping[str, Any] | None = None) -> str:
    """The field manager of a resource, one for each URN, so that two resources that declare one object conflict."""
    recorded = str((old_outputs or {}).get(FIELD_MANAGER_PROPERTY, ""))
    generated = f"pulumi-kubernetes-{hashlib.sha256(urn.encode()).hexdigest()[:8]}"
    return get_pulumi_annotation(manifest, "patchFieldManager") or recorded or generated


def get_status(live: Object, path: str, default: Any = None) -> Any:
    """A field of an object's status."""
    return look_up(live.get("status", {}), path, default)


def get_condition(live: Object, condition_type: str) -> Mapping[str, Any]:
    """A condition in an object's status; empty if there is none of this type."""
    return next((each for each in get_status(live, "conditions", []) if each.get("type") == condition_type), {})


def redact(message: str, *known: Values) -> str:
    """A message with every secret value in `known` removed: errors may quote the request."""
    secrets = [look_up(values.plain, path) for values in map(mark_secrets, known) for path in values.secrets]
    texts = {text for secret in secrets for text in _each_text(secret)}
    for text in sorted(texts, key=len, reverse=True):
        for form in (text, json.dumps(text)[1:-1], base64.b64encode(text.encode()).decode()):
            message = message.replace(form, "[secret]")
    return message


def _rename_keys(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {names.get(key, key): _rename_keys(item, names) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_rename_keys(item, names) for item in value]
    return value


def _restrict(live: Any, inputs: Any) -> Any:
    if isinstance(live, Mapping) and isinstance(inputs, Mapping):
        return {key: _restrict(live[key], item) for key, item in inputs.items() if key in live}
    if isinstance(live, list) and isinstance(inputs, list):
        pairs = zip(live, inputs, strict=False)
        return [_restrict(item, declared) for item, declared in pairs] + live[len(inputs) :]
    return live


def _cut_at_list(path: Path) -> Path:
    """A path up to the first list in it: items may move, so the whole list is secret."""
    end = next((index for index, step in enumerate(path) if isinstance(step, int)), len(path))
    return path[:end]


def _decode_text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError):
        return encoded


def _each_text(value: Any) -> Iterator[str]:
    """The texts and numbers inside a value, as a message would show them."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _each_text(item)
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        yield str(value)
