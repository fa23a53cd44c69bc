"""Builds all programs that rehearsals, scenarios and tests run: `python -m rehearsal.scenarios.programs`.

Each command builds the programs that it lacks; this builds all of them in advance and shows its progress.
"""

from __future__ import annotations

import sys

from rehearsal import toolchain
from rehearsal.console import UserError, info
from rehearsal.preparation import preparing
from rehearsal.scenarios.prometheus import ALERTMANAGER, AMTOOL, PROMETHEUS, PROMTOOL

_TOOLS = (PROMETHEUS, PROMTOOL, ALERTMANAGER, AMTOOL)


def build_programs() -> None:
    """Find or build every program. Raises UserError for the first that can neither be found nor built."""
    toolchain.announce_builds(_TOOLS)
    with preparing() as preparation:
        preparation.engine()
        unavailable = preparation.control_plane()
        preparation.controllers()
    if unavailable:
        raise UserError(unavailable)
    for tool in _TOOLS:
        toolchain.ensure(tool)


if __name__ == "__main__":
    try:
        build_programs()
    except UserError as error:
        info(f"error: {error}")
        sys.exit(1)
