"""A policy pack without controls, which measures the overhead of any pack: its process, and the engine's protocol.

It uses the same server as the pack that is measured, and loads none of its controls.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

_DESCRIPTION: Final = """description: A pack without a control.
version: 1.0.0
runtime:
  name: python
  options:
    virtualenv: {environment}
"""
# The SDK rejects a pack without policies. The entry for exceptions is evaluated once, with the stack.
_MAIN: Final = '''"""Starts a pack without a control."""

import gc
import sys
import types

import pulumi_policy.policy

sys.path.insert(0, {root!r})
# The package itself would load its controls.
sys.modules["policies"] = types.ModuleType("policies")
sys.modules["policies"].__path__ = [{package!r}]

from policies.engine import exception_register
from policies.engine.servicer import PackServicer

pulumi_policy.policy._PolicyAnalyzerServicer = PackServicer
gc.freeze()
pulumi_policy.PolicyPack("empty", [exception_register.as_policy(PackServicer.exceptions)])
'''


def write_empty_pack(folder: Path, pack: Path) -> Path:
    """Write an empty counterpart of the pack in `pack` to a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "PulumiPolicy.yaml").write_text(_DESCRIPTION.format(environment=sys.prefix), encoding="utf-8")
    (folder / "__main__.py").write_text(_MAIN.format(root=str(pack.parent), package=str(pack)), encoding="utf-8")
    return folder
