"""Tags with which a team marks resources that are public on purpose."""

from typing import Final

from kernel.paths import look_up
from kernel.values import ABSENT
from policies.engine.control import Setting
from policies.engine.findings import Props

PUBLIC_TAG: Final = Setting({"type": "string"}, default="")
"""A tag, such as `public` or `public=true`, of resources that everybody may read; if empty, no resource has it."""


def has_tag(props: Props, wanted: str) -> bool:
    """Whether a resource has a tag that is written as `key` or as `key=value`."""
    key, _, value = wanted.partition("=")
    found = look_up(props, ("tags", key)) if key else ABSENT
    return isinstance(found, str) and (not value or found == value)
