"""Tags, by which both clouds divide a bill, and which say what a resource is for."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kernel.paths import look_up
from kernel.values import UNKNOWN
from policies.engine.control import Setting
from policies.engine.findings import Findings, Props, Undecided

REQUIRED: Final = Setting({"type": "array", "items": {"type": "string"}}, default=["environment", "owner"])
EXEMPT: Final = Setting(
    {"type": "array", "items": {"type": "string"}}, default=["dev", "development", "test", "staging"]
)
"""Values of the tag `environment` whose resources are meant to be cheap and to be thrown away."""


def is_exempt(props: Props, environments: Sequence[str]) -> bool:
    """Whether the resource's tag says that it is in one of these environments. Without the tag it is in none."""
    return _read_tags(props).get("environment") in environments


def expect_tags(props: Props, required: Sequence[str]) -> Findings:
    """Require tags by these names, in any case, each with a value."""
    if look_up(props, "tags") is UNKNOWN:
        yield Undecided("tags")
        return
    values = _read_tags(props)
    for name in required:
        value = values.get(name.lower())
        if value is not UNKNOWN and not (isinstance(value, str) and value):
            yield f'tags must include "{name}", otherwise nobody knows whose the cost is'


def _read_tags(props: Props) -> Mapping[str, Any]:
    """The tags, by their names in small letters."""
    tags = look_up(props, "tags")
    return {str(name).lower(): value for name, value in tags.items()} if isinstance(tags, Mapping) else {}
