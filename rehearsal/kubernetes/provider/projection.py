"""Objects in their several shapes: as the program declares them, as the API server has them, as the state keeps them.

Everything here is pure; nothing asks the API server.
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

MANAGER = "__fieldManager"  # where the state remembers who applied the object

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

# What the API server writes into metadata by itself.
# Source: https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.33/#objectmeta-v1-meta
_SERVERS_OWN = frozenset(
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


def manifest(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What is declared, as the API server takes it."""
    renamed: dict[str, Any] = _renamed({key: value for key, value in inputs.items() if key != MANAGER}, _EXTENSIONS)
    if isinstance(renamed.get("metadata"), Mapping):
        renamed["metadata"] = {key: value for key, value in renamed["metadata"].items() if key not in _SERVERS_OWN}
    return renamed


def declared(live: Object) -> dict[str, Any]:
    """What of a live object a program could have declared: what two versions of it are compared by."""
    return manifest({key: value for key, value in live.items() if key != "status"})


def outputs(live: Object, inputs: Values, manager: str) -> Values:
    """The properties of an object as the state keeps them; what went in secret stays secret."""
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    plain = {**_renamed({**live, "metadata": metadata}, _UNDERSCORED), MANAGER: manager}
    return mark_secrets(Values(plain, {_outside_lists(path) for path in inputs.secrets}))


def previewed(answer: Object, inputs: Values, manager: str) -> Values:
    """The properties of an object as a dry run made it: it has no status yet, whatever the dry run says."""
    return outputs({key: value for key, value in answer.items() if key != "status"}, inputs, manager)


def mark_secrets(values: Values) -> Values:
    """The same values with their secrets' paths in order, and what a Secret holds always among them."""
    wanted = set(values.secrets)
    if values.plain.get("kind") == "Secret":
        wanted |= {("data",), ("stringData",)}
    there = {path for path in wanted if look_up_path(values.plain, path) is not None}
    # A secret within a secret would be wrapped twice.
    return Values(values.plain, {path for path in there if not any(path[:end] in there for end in range(1, len(path)))})


def project(live: Object, inputs: Values) -> Values:
    """The live object restricted to what the inputs speak of: differs from them where it has drifted."""
    plain = _restricted(_renamed(live, _UNDERSCORED), inputs.plain)
    texts = inputs.plain.get("stringData")
    if live.get("kind") == "Secret" and isinstance(texts, Mapping):
        plain["stringData"] = {key: _text(live.get("data", {})[key]) for key in texts if key in live.get("data", {})}
    return mark_secrets(Values(plain, set(inputs.secrets)))


def id_of(live: Object) -> str:
    namespace, name = live["metadata"].get("namespace"), live["metadata"]["name"]
    return f"{namespace}/{name}" if namespace else str(name)


def describe(live: Object) -> str:
    """How messages name an object: `Deployment serving/model`."""
    return f"{live['kind']} {id_of(live)}"


def annotation(thing: Object, name: str) -> str:
    """An annotation under `pulumi.com/`, empty where it is not set."""
    found = look_up_path(thing, ("metadata", "annotations", f"pulumi.com/{name}"))
    return found if isinstance(found, str) else ""


def field_manager(urn: str, thing: Object, old: Mapping[str, Any] | None = None) -> str:
    """Under which name a resource's fields are applied: its own, so that two resources on one object conflict."""
    remembered = str((old or {}).get(MANAGER, ""))
    made = f"pulumi-kubernetes-{hashlib.sha256(urn.encode()).hexdigest()[:8]}"
    return annotation(thing, "patchFieldManager") or remembered or made


def look_up_path(value: Any, path: Path) -> Any:
    """The value at a path, None where there is none. Keys may hold dots, as those of annotations do."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def status(live: Object, path: str, default: Any = None) -> Any:
    """A field of an object's status, by its dotted path."""
    found = look_up(live.get("status", {}), path, None)
    return default if found is None else found


def condition(live: Object, type_: str) -> Mapping[str, Any]:
    """A condition in an object's status, empty where it has none of this type."""
    return next((each for each in status(live, "conditions", []) if each.get("type") == type_), {})


def redact(message: str, *known: Values) -> str:
    """A message with every secret value that is known taken out of it: what is refused may be quoted."""
    all_ = [(values.plain, path) for values in map(mark_secrets, known) for path in values.secrets]
    texts = {text for plain, path in all_ for text in _leaves(look_up_path(plain, path))}
    for text in sorted(texts, key=len, reverse=True):
        for form in (text, json.dumps(text)[1:-1], base64.b64encode(text.encode()).decode()):
            message = message.replace(form, "[secret]")
    return message


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value


def _restricted(live: Any, wanted: Any) -> Any:
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        return {key: _restricted(live[key], item) for key, item in wanted.items() if key in live}
    if isinstance(live, list) and isinstance(wanted, list):
        pairs = zip(live, wanted, strict=False)
        return [_restricted(item, like_) for item, like_ in pairs] + live[len(wanted) :]
    return live


def _outside_lists(path: Path) -> Path:
    """A path up to the first list in it: items may move, so the whole list is secret."""
    end = next((index for index, step in enumerate(path) if isinstance(step, int)), len(path))
    return path[:end]


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError):
        return encoded


def _leaves(value: Any) -> Iterator[str]:
    """The texts and numbers inside a value, as a message would show them."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        yield str(value)
