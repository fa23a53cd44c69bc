"""The stacks that have a file, and what pipelines need to know: cloud, environment, whether they are backed up."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from delivery.errors import DeliveryError
from infra.core import stack_config
from kernel import stack_file
from kernel.stack_names import describe_unknown_stack, list_stacks
from kernel.yaml_document import DocumentError

# Pulumi's own rule, without names that would be read as options: a name becomes part of commands, and anybody may
# propose a file.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class DeclaredStack:
    """A stack, as its file declares it.

    cloud, environment  empty if the file does not set them
    is_backed_up        whether it has a `resilience.backupStore`
    """

    name: str
    cloud: str
    environment: str
    is_backed_up: bool = False


def read_stacks(folder: Path) -> Sequence[DeclaredStack]:
    """All stacks of a folder, sorted by name; those whose names are unsafe in commands are left out."""
    return [_read(folder, name) for name in list_stacks(folder) if _NAME.fullmatch(name)]


def find_stacks(folder: Path, names: Sequence[str]) -> Sequence[DeclaredStack]:
    """The stacks of these names, in their order. Raises DeliveryError for those without a file."""
    stacks = {stack.name: stack for stack in read_stacks(folder)}
    unknown = [name for name in names if name not in stacks]
    if unknown:
        file = f"{folder.name}/Pulumi.{unknown[0]}.yaml"
        raise DeliveryError(describe_unknown_stack(unknown[0], file, list(stacks)))
    return [stacks[name] for name in names]


def _read(folder: Path, name: str) -> DeclaredStack:
    path = folder / f"Pulumi.{name}.yaml"
    try:
        values = stack_file.read(path, stack_config.NAMESPACE).values
    except DocumentError:
        return DeclaredStack(name, "", "")  # the rehearsal reports what is wrong with the file
    return DeclaredStack(
        name,
        values.get(f"{stack_config.NAMESPACE}:cloud", ""),
        values.get(f"{stack_config.NAMESPACE}:environment", ""),
        _has_backup_store(values),
    )


def _has_backup_store(values: Mapping[str, str]) -> bool:
    try:
        resilience = json.loads(values.get(f"{stack_config.NAMESPACE}:resilience", "{}"))
    except json.JSONDecodeError:
        return False  # the rehearsal reports what is wrong with it
    return isinstance(resilience, dict) and bool(resilience.get("backupStore"))
