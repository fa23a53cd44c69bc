"""The rehearsal's commands; `make help` names those that people use."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from kernel.command_line import add_confirm_option
from rehearsal import commands, estimation, movement, stack_rehearsal
from rehearsal.entry_point import run_command
from rehearsal.scene import ACCOUNTS, CALLERS, GRANTS

_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "up": stack_rehearsal.up,
    "destroy": commands.destroy,
    "reset": commands.reset,
    "shell": commands.shell,
    "env": commands.env,
    "serve": commands.serve,
    "stop": commands.stop,
    "lifecycle": commands.lifecycle,
    "scenario": commands.scenario,
    "move": movement.move,
    "cost": estimation.print_cost,
    "duration": estimation.print_duration,
    "resources": estimation.print_resources,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m rehearsal", description=__doc__)
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("stack")
    parser.add_argument("--port", type=int, default=0, help="port of the simulated clouds; a free one if not given")
    parser.add_argument("--strict", action="store_true", help="`up` fails if a chart could not be rendered")
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text", help="of an estimate")
    parser.add_argument("--diff", default="", help="another stack, or a commit, that `cost` compares with")
    parser.add_argument(
        "--today", default="", help="the date in the simulated clouds, such as 2027-06-01; today if empty"
    )
    parser.add_argument("--caller", default="", help=f"who deploys, and from where: {', '.join(CALLERS)}")
    parser.add_argument(
        "--account", default="", help=f"state of the account before the first deployment: {', '.join(ACCOUNTS)}"
    )
    parser.add_argument("--name", default="", help="name of a `scenario`")
    parser.add_argument(
        "--purpose", default="", help="a rehearsal beside the usual one, for `up`, `destroy` and `move`"
    )
    parser.add_argument("--sold-out", default="", help="machines that are out of stock, such as eu-west-1a/m6i.xlarge")
    parser.add_argument("--grants", default="", help=f"when roles and access take effect: {', '.join(GRANTS)}")
    parser.add_argument("--actor", default="", help="what changes the clouds in `move`, such as an autoscaler")
    parser.add_argument("--policy-pack-config", default="", help="configuration of the policy pack, for `up`: a file")
    add_confirm_option(parser)
    arguments = parser.parse_args()
    return run_command(lambda: _COMMANDS[arguments.command](arguments))


if __name__ == "__main__":
    sys.exit(main())
