"""The reviewed exceptions of the policy pack, and a configuration with more of them for one rehearsal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import yaml

from kernel.reviewed_entries import find_today
from policies import ReviewedException, load_exceptions
from rehearsal.console import UserError

_DAYS = 7
"""How long the added exceptions apply: longer than any scenario runs."""


def read_exceptions() -> Sequence[ReviewedException]:
    """The policy pack's own exceptions. Raises UserError with everything wrong in their file."""
    try:
        return load_exceptions()
    except ValueError as error:
        raise UserError(str(error)) from None


def write_configuration(folder: Path, stack: str, resources: Mapping[str, str]) -> Path:
    """Write a file for `--policy-pack-config` to a folder; returns its path.

    `resources` are patterns of names in `stack`, keyed by the control that they are exempt from. Raises UserError with
    everything wrong in the pack's own exceptions.
    """
    added = [
        {
            "control": control,
            "resource": resource,
            "stack": stack,
            "owner": "scenario",
            "reason": "A scenario destroys the rehearsed stack, as reviewers of the real one have to agree to first.",
            "expires": find_today() + timedelta(days=_DAYS),
        }
        for control, resource in resources.items()
    ]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    exceptions, configuration = folder / "exceptions.yaml", folder / "policy-pack-config.json"
    exceptions.write_text(yaml.safe_dump([*map(asdict, read_exceptions()), *added]))
    configuration.write_text(json.dumps({"exceptions": {"file": str(exceptions)}}))
    return configuration
