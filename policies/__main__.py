"""Starts the policy pack. Pulumi runs this file; nothing else may, because PolicyPack serves and never returns."""

import sys
from pathlib import Path

import pulumi_policy.policy
from pulumi.runtime import get_config_env
from pulumi_policy import PolicyPack

# Pulumi runs this folder as a script, so `policies` and `kernel` can be imported only from its parent.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policies import controls, load_exceptions
from policies.engine.pack import NAME, as_policy
from policies.engine.servicer import PackServicer
from policies.engine.stack_settings import extend_defaults

# PolicyPack creates its servicer itself and has no hook for checking the configuration that it receives.
pulumi_policy.policy._PolicyAnalyzerServicer = PackServicer  # type: ignore[assignment,misc]

try:
    exceptions = load_exceptions()
except ValueError as error:
    sys.exit(f"error: {error}")

# The engine starts the pack with the stack's configuration in the environment.
configuration = get_config_env()
PolicyPack(NAME, [as_policy(extend_defaults(control, configuration), exceptions) for control in controls()])
