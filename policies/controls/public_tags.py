"""Tags by which a team says of its resources what no other property does."""

from typing import Final

from kernel.paths import look_up
from kernel.values import ABSENT
from policies.engine.control import Setting
from policies.engine.findings import Props

PUBLIC_TAG: Final = Setting({"type": "string"}, default="")
"""A tag, `public` or with a value `public=true`, of what is meant for everybody; the empty one is nobody's."""


def has_tag(props: Props, wanted: str) -> bool:
    """Whether a resource has a tag, written as a key, or as `key=value`."""
    key, _, value = wanted.partition("=")
    found = look_up(props, ("tags", key)) if key else ABSENT
    return isinstance(found, str) and (not value or found == value)
