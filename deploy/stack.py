"""A stack's file: its settings, or what is wrong with them, and how the engine encrypts the stack's secrets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.errors import DeployError
from infra.core import stack_config
from infra.core.settings import Cloud, Settings
from kernel import stack_file
from kernel.stack_file import StackFile
from kernel.stack_names import describe_unknown_stack, list_stacks
from kernel.yaml_document import DocumentError


@dataclass(frozen=True)
class Stack:
    """A stack that has a file.

    cloud             None if the file does not set it
    content           None if the file cannot be read
    settings          None if they are not valid
    problem           what is wrong with the settings; empty if they are valid
    secrets_provider  as the file names it, such as awskms://alias/state; empty for the backend's own
    """

    name: str
    file: Path
    content: StackFile | None
    cloud: Cloud | None
    settings: Settings | None
    problem: str = ""
    secrets_provider: str = ""


def read_stack(name: str, folder: Path) -> Stack:
    """Read `Pulumi.<name>.yaml` in a folder. Raises DeployError if there is no such stack."""
    path = folder / f"Pulumi.{name}.yaml"
    known = list_stacks(folder)
    shown = f"{folder.name}/{path.name}"
    if name not in known:
        raise DeployError(describe_unknown_stack(name, shown, known))
    try:
        file = stack_file.read(path, stack_config.NAMESPACE, shown)
    except DocumentError as error:
        return Stack(name, path, None, None, None, str(error))
    cloud = file.values.get(f"{stack_config.NAMESPACE}:cloud", "")
    try:
        settings, problem = stack_config.check(file, name), ""
    except ValueError as error:
        settings, problem = None, str(error)
    return Stack(
        name,
        path,
        file,
        Cloud(cloud) if cloud in set(Cloud) else None,
        settings,
        problem,
        str(file.content.get("secretsprovider", "")),
    )
