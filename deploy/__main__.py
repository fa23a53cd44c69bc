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
    arguments = parser.parse_args()
    try:
        code = commands.run(arguments.action, arguments.stack)
    except DeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if arguments.action == "preflight":
        print(f"Everything that {arguments.stack} needs is there.", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
