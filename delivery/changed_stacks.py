"""Which stacks a change concerns, according to the files that it touches.

A file of one stack concerns that stack, a module of one cloud concerns the stacks on it, and every other part of a
deployment concerns all stacks. Files that are not part of a deployment, such as documentation and tests, concern none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from delivery.errors import DeliveryError
from delivery.git import list_changed_files
from delivery.stacks import DeclaredStack, read_stacks

_STACK_FILES = (re.compile(r"stacks/Pulumi\.(.+)\.yaml"), re.compile(r"platform/gitops/stacks/([^/]+)/.+"))
_CLOUD_FILE = re.compile(r"(?:infra|policies/controls|rehearsal/simulator|platform/queries)/(azure|aws)/.+")
# Patterns of files that no rehearsal reads; a star matches slashes too.
_UNREAD = (
    "*.md",
    ".azure-pipelines/*",
    ".devcontainer/*",
    ".github/*",
    "LICENSE",
    "azure-pipelines.yml",
    "delivery/*",
    "deploy/*",
    "docs/*",
    "platform/lifecycle/bench/*",
    "platform/lifecycle/tests/*",
    "renovate.json",
    "stacks/approvals.yaml",
    "tests/*",
)


@dataclass(frozen=True)
class ChangedStacks:
    """
    stacks   changed stacks that have a file in the tree, sorted
    removed  stacks whose file the change deletes: they can no longer be rehearsed, but may still be deployed
    """

    stacks: Sequence[str]
    removed: Sequence[str]


def find_changed_stacks(root: Path, base: str) -> ChangedStacks:
    """The stacks that the change from the commit `base` to the work tree in `root` concerns.

    Raises DeliveryError if git cannot compare them.
    """
    return classify(list_changed_files(root, base), read_stacks(root / "stacks"))


def classify(files: Iterable[str], stacks: Sequence[DeclaredStack]) -> ChangedStacks:
    """The stacks that changes of files concern; `files` are their paths, including deleted ones."""
    known = {stack.name for stack in stacks}
    changed: set[str] = set()
    removed: set[str] = set()
    for file in files:
        owner = next((found[1] for pattern in _STACK_FILES if (found := pattern.fullmatch(file))), "")
        if owner:
            (changed if owner in known else removed).add(owner)
        elif found := _CLOUD_FILE.fullmatch(file):
            # A stack file without a cloud may be on either cloud: its rehearsal reports what is wrong.
            changed |= {stack.name for stack in stacks if stack.cloud in ("", found[1])}
        elif not any(fnmatchcase(file, pattern) for pattern in _UNREAD):
            changed |= known
    return ChangedStacks(sorted(changed), sorted(removed))


def describe_removed(stack: str) -> str:
    """The message for a stack whose file a change deletes."""
    return (
        f"The file of the stack '{stack}' no longer exists, so the stack is not rehearsed. If it is deployed, "
        f"destroy it before this is merged, from a commit that has the file: `make destroy STACK={stack}`."
    )


def require_base(base: str) -> str:
    """The commit to compare with. Raises DeliveryError if there is none, as after a first push."""
    if not base.strip("0"):
        raise DeliveryError("There is no commit to compare with: name one with BASE=<commit or branch>.")
    return base
