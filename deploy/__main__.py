"""`python -m deploy <action> <stack>`; `make help` describes the actions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy import commands
from deploy.errors import DeployError
from kernel.command_line import add_confirm_option


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy", description="Work on a stack's real cloud.")
    parser.add_argument("action", choices=commands.ACTIONS)
    parser.add_argument("stack")
    parser.add_argument("--yes", action="store_true", help="`up` and `destroy` do not ask before they change anything")
    add_confirm_option(parser)
    parser.add_argument("--log", type=Path, metavar="FILE", help="write the engine's events, one JSON object per line")
    arguments = parser.parse_args()
    try:
        return commands.run(
            arguments.action,
            arguments.stack,
            is_confirmed=arguments.yes,
            confirmed_losses=arguments.confirm,
            event_log=arguments.log.resolve() if arguments.log else None,
        )
    except DeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
