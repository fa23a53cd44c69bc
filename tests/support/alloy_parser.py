"""Alloy's own parser of its configuration language, built from its Go module. Proves nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.toolchain import GO_MODULES, Tool
from tests.support.alert_rules import require

_PARSER = Tool(
    name="alloy-parser",
    title="Alloy's parser",
    command="alloy-parser",
    version_arguments=(),
    folder=GO_MODULES / "alloy",
    module="github.com/grafana/alloy/syntax",
    package=".",
    build_minutes=1,
    install_url="https://github.com/grafana/alloy/tree/main/syntax",
)


@dataclass(frozen=True)
class Block:
    """A block: the names of the enclosing blocks and its own, its label, and its attributes' expressions."""

    path: Sequence[str]
    label: str
    attributes: Mapping[str, str]


def parse(path: Path) -> Sequence[Block]:
    """The blocks of a file. Raises AssertionError with the parser's message; skips the test if it is not available."""
    reply = subprocess.run([require(_PARSER), path], capture_output=True, text=True, check=False)
    assert reply.returncode == 0, reply.stderr
    return [Block(**each) for each in json.loads(reply.stdout)]
