"""What Azure's REST specifications say of single inputs, as far as the `azure-native` SDK has it.

The provider refuses a missing property itself: validateType in
https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/provider.go. It also refuses texts and
numbers by patterns, lengths and ranges, which only the metadata inside of it has. A value that an enumeration does not
have is Azure's to refuse: each service does so with a message of its own, and the one here is none of them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kernel.paths import format_path
from rehearsal.simulator.core.constraints import InputConstraints, Kind, Violation, read_constraints
from rehearsal.simulator.core.resource_model import ResourceModel

FILE = Path(__file__).with_name("api_constraints.json")
_BY_TYPE = read_constraints(FILE, ignores_case=True)


def constrain(model: ResourceModel) -> ResourceModel:
    """A model with what the API says of its inputs."""
    return replace(model, constraints=InputConstraints(_BY_TYPE.get(model.type, ()), _describe))


def _describe(violation: Violation) -> str:
    path = format_path(violation.path)
    if violation.constraint.kind is Kind.REQUIRED:
        return f"missing required property '{path}'"
    values = ", ".join(violation.constraint.limit)
    return f"InvalidParameter: The value '{violation.value}' of parameter {path} is invalid. Use one of {values}."
