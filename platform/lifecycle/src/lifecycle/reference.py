"""docs/lifecycle-settings.md, made from the settings' own classes: `python -m lifecycle.reference --write FILE`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from lifecycle.contract.environment import Settings as ContractSettings
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.settings import NotifySettings, ReceiverSettings, RegistrySettings, WorkerSettings
from lifecycle.rollout.settings import RolloutSettings
from lifecycle.serving.settings import Settings as ServingSettings
from lifecycle.training.settings import GateSettings, SubmitSettings, TrainingSettings

_PARTS: Mapping[str, type[BaseSettings]] = {
    "Training": TrainingSettings,
    "Gate": GateSettings,
    "Submitting to a cloud": SubmitSettings,
    "Trying a model in the serving environment": ContractSettings,
    "Serving": ServingSettings,
    "Registry": RegistrySettings,
    "Promotion, receiver": ReceiverSettings,
    "Promotion, worker": WorkerSettings,
    "Notifications": NotifySettings,
    "GitOps repository": GitopsSettings,
    "Rollout": RolloutSettings,
}
_ENTRY = re.compile(r"^([a-z_]\w*(?:, [a-z_]\w*)*) {2,}(\S.*)$")


def render() -> str:
    """The page, in Markdown."""
    head = (
        "# Settings of a model's life\n\nAll are environment variables. Made from the code by `make docs`; what is "
        "wrong with one is said at start, by name.\n"
    )
    return "\n".join([head, *(line for title, part in _PARTS.items() for line in _section(title, part))])


def _section(title: str, part: type[BaseSettings]) -> Iterator[str]:
    explained = _explained(part)
    yield f"## {title}\n\n| variable | default | meaning |\n|---|---|---|"
    for name, field in part.model_fields.items():
        meaning = field.description or explained.get(name, "")
        yield f"| `{_variable(part, name, field)}` | {_default(field)} | {meaning} |"
    yield ""


def _variable(part: type[BaseSettings], name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    return alias if isinstance(alias, str) else f"{part.model_config.get('env_prefix', '')}{name}".upper()


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "see there"
    value: Any = field.default
    if value is PydanticUndefined:
        return "**must be set**"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = ", ".join(map(str, value))
    return "" if value in (None, "") else f"`{value}`"


def _explained(part: type[BaseSettings]) -> dict[str, str]:
    """What the class's docstring says of its fields: a name, two spaces or more, and words that may go on below."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in (inspect.getdoc(part) or "").splitlines():
        entry = _ENTRY.match(line)
        if entry:
            names = entry[1].split(", ")
            found |= dict.fromkeys(names, entry[2])
        elif names and line.startswith("  "):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        else:
            names = []
    return found


if __name__ == "__main__":
    Path(sys.argv[sys.argv.index("--write") + 1]).write_text(render())
