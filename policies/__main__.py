"""Starts the policy pack. Only Pulumi may run this file, because PolicyPack serves and never returns."""

import gc
import sys
from pathlib import Path

import pulumi_policy.policy
from pulumi_policy import PolicyPack

# Pulumi runs this folder as a script, so `policies` and `kernel` can be imported only from its parent.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policies import controls, load_exceptions
from policies.engine import exception_register
from policies.engine.pack import NAME, as_policy
from policies.engine.servicer import PackServicer

# PolicyPack creates its servicer itself and has no hook for checking the configuration that it receives.
pulumi_policy.policy._PolicyAnalyzerServicer = PackServicer  # type: ignore[assignment,misc]

try:
    PackServicer.exceptions.replace(load_exceptions())
except ValueError as error:
    sys.exit(f"error: {error}")

# The configuration is empty until the engine sends it, before the first resource.
policies = [as_policy(control, PackServicer.exceptions, PackServicer.configuration) for control in controls()]
# Loaded modules are never freed. Without this, the garbage collector scans them repeatedly while resources are decoded.
gc.freeze()
PolicyPack(NAME, [*policies, exception_register.as_policy(PackServicer.exceptions)])
