"""`python -m plan_guard preview.json`: fails if a preview of any Pulumi project would lose data without approval."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kernel.reviewed_entries import find_today, shorten
from plan_guard import ApprovalError, PlanError, evaluate_plan, load_approvals, read_plan


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m plan_guard", description=__doc__)
    parser.add_argument(
        "preview",
        help="the JSON of `pulumi preview --json --show-replacement-steps`, or an event log; - reads standard input",
    )
    parser.add_argument("--approvals", type=Path, default=Path("approvals.yaml"), help="default: approvals.yaml")
    arguments = parser.parse_args()
    try:
        text, name = _read(arguments.preview)
        evaluation = evaluate_plan(read_plan(text, name), load_approvals(arguments.approvals), find_today())
    except (ApprovalError, PlanError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if text := evaluation.describe():
        print(text, file=sys.stderr)
    if refusal := evaluation.refuse(shorten(arguments.approvals.resolve()), find_today()):
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    print("The plan loses no data without approval.", file=sys.stderr)
    return 0


def _read(file: str) -> tuple[str, str]:
    """The text of a file or of standard input, and its name. Raises PlanError."""
    if file == "-":
        return sys.stdin.read(), "The preview"
    try:
        return Path(file).read_text(encoding="utf-8"), file
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise PlanError(f"{file} cannot be read: {reason}.") from None


if __name__ == "__main__":
    sys.exit(main())
