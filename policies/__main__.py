"""Starts the policy pack. Pulumi runs this file; nothing else may, because PolicyPack serves and never returns."""

import sys
from pathlib import Path

import pulumi_policy.policy
from pulumi_policy import PolicyPack

# Pulumi runs this folder as a script, so `policies` itself is not importable until its parent is.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policies.exceptions import load
from policies.pack import NAME, CheckedServicer, policies
from policies.services import controls

# PolicyPack builds its servicer itself and offers no hook for reading the configuration it receives.
pulumi_policy.policy._PolicyAnalyzerServicer = CheckedServicer  # type: ignore[misc]

try:
    reviewed = load({control.id for control in controls()})
except ValueError as error:
    sys.exit(f"error: {error}")

PolicyPack(NAME, policies(reviewed))
