"""`python -m delivery <command>`: the commands that workflows in .github and pipelines of Azure DevOps call."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from delivery import audit, comment, image_digests, model_commands, slack
from delivery.changed_stacks import describe_removed, find_changed_stacks, require_base
from delivery.environments import list_backed_up, order_stacks
from delivery.errors import DeliveryError
from delivery.outputs import write_outputs
from deploy.errors import DeployError
from deploy.programs import ROOT, Programs
from deploy.stack import read_stack

_STACKS = ROOT / "stacks"

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 success, 1 not possible or failed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (DeliveryError, DeployError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m delivery", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Command, text: str, *positional: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text)
        for argument in positional:
            command.add_argument(argument)
        command.set_defaults(run=run)
        return command

    add("changed-stacks", _list_changed_stacks, "list the stacks that a change concerns", "base")
    add(
        "environments",
        _list_environments,
        "list stacks by environment, in the order of deployment, and those that are backed up",
    ).add_argument("stacks", nargs="*")
    images = add("set-images", _set_images, "write digests of images into a stack's file", "stack")
    images.add_argument("digests", nargs="+", metavar="IMAGE=DIGEST")
    posting = add("comment", _comment, "write the comment of a pull request", "project", "commit")
    posting.add_argument("folder", type=Path, help="with the reports, as Markdown")
    add("notify", _notify, f"send a message to the address in {slack.VARIABLE}", "text")
    audit.add_command(add)
    model_commands.add_commands(add)
    return parser


def _list_changed_stacks(options: argparse.Namespace) -> int:
    changed = find_changed_stacks(ROOT, require_base(options.base))
    for stack in changed.removed:
        print(describe_removed(stack), file=sys.stderr)
    write_outputs(
        stacks=json.dumps(list(changed.stacks)),
        removed=json.dumps(list(changed.removed)),
        limit=str(comment.find_share(len(changed.stacks))),
    )
    return 0


def _list_environments(options: argparse.Namespace) -> int:
    names = [name for argument in options.stacks for name in argument.split()]
    if not names:
        print("No stack is listed, so nothing is deployed: see docs/delivery.md for where to list stacks.")
    ordered = order_stacks(_STACKS, names)
    every = [stack for stacks in ordered.values() for stack in stacks]
    lists = {**ordered, "all": every, "backed_up": list_backed_up(_STACKS, every)}
    write_outputs(**{name: json.dumps(list(stacks)) for name, stacks in lists.items()})
    return 0


def _set_images(options: argparse.Namespace) -> int:
    stack = read_stack(options.stack, _STACKS)
    pairs = dict(text.partition("=")[::2] for text in options.digests)
    image_digests.write_digests(stack.file, pairs)
    print(f"{stack.file.relative_to(ROOT)} has the new digests of {', '.join(sorted(pairs))}.")
    return 0


def _comment(options: argparse.Namespace) -> int:
    reports = sorted(options.folder.glob("**/*.md"))
    print(comment.post(Programs(os.environ), options.project, options.commit, reports))
    return 0


def _notify(options: argparse.Namespace) -> int:
    print(slack.notify(options.text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
