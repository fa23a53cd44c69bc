"""Names of stacks: those that have a file, and the message about one that has none."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

_PROJECT_FILE = "Pulumi.yaml"


def list_stacks(folder: Path) -> list[str]:
    """The stacks that have a file `Pulumi.<stack>.yaml` in a folder, sorted."""
    files = (path.name for path in folder.glob("Pulumi.*.yaml") if path.name != _PROJECT_FILE)
    return sorted(name.removeprefix("Pulumi.").removesuffix(".yaml") for name in files)


def describe_unknown_stack(stack: str, file: str, known: Sequence[str]) -> str:
    """The message for a stack that is not one of `known`; `file` is where its settings would be."""
    if not known:
        return f"There is no stack '{stack}': {file} does not exist, and there are no other stacks."
    close = difflib.get_close_matches(stack, known, n=1, cutoff=0.5)
    suggestion = f" Did you mean '{close[0]}'?" if close else ""
    return (
        f"There is no stack '{stack}': {file} does not exist.{suggestion} Stacks are {', '.join(known)}; "
        "name one with STACK=..."
    )
