"""`python -m deploy <action> <stack>`; `make help` describes the actions."""

from __future__ import annotations

import argparse
import sys

from deploy import commands
from deploy.errors import DeployError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy", description="Work on a stack's real cloud.")
    parser.add_argument("action", choices=commands.ACTIONS)
    parser.add_argument("stack")
    parser.add_argument("--yes", action="store_true", help="`up` and `destroy` do not ask before they change anything")
    parser.add_argument("--confirm", default="", help="settings that `up` may change although that loses data: a,b")
    arguments = parser.parse_args()
    losses = [setting.strip() for setting in arguments.confirm.split(",")]
    try:
        return commands.run(arguments.action, arguments.stack, is_confirmed=arguments.yes, confirmed_losses=losses)
    except DeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
