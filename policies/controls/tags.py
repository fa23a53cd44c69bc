"""Tags, which say what a resource is for, and by which both clouds can split a bill."""

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
"""Values of the tag `environment` for resources that are cheap and disposable on purpose."""


def is_exempt(props: Props, environments: Sequence[str]) -> bool:
    """Whether the resource's tag `environment` is one of these; False without the tag."""
    return _read_tags(props).get("environment") in environments


def expect_tags(props: Props, required: Sequence[str]) -> Findings:
    """Require tags with these names, ignoring case, each with a value."""
    if look_up(props, "tags") is UNKNOWN:
        yield Undecided("tags")
        return
    values = _read_tags(props)
    for name in required:
        value = values.get(name.lower())
        if value is not UNKNOWN and not (isinstance(value, str) and value):
            yield f'tags must include "{name}", otherwise its cost cannot be assigned to an owner'


def _read_tags(props: Props) -> Mapping[str, Any]:
    """The tags, keyed by their names in lower case."""
    tags = look_up(props, "tags")
    return {str(name).lower(): value for name, value in tags.items()} if isinstance(tags, Mapping) else {}
