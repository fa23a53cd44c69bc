"""The constraints of Azure's REST specifications on single inputs, as far as the `azure-native` SDK contains them.

The provider refuses a missing property itself: validateType in
https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/provider.go. It also checks patterns,
lengths and ranges, which only its internal metadata has. Azure itself refuses a value that is not in an enumeration.
Each service has its own message for that, which the message here does not quote.
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
    """A model with the API's constraints on its inputs."""
    return replace(model, constraints=InputConstraints(_BY_TYPE.get(model.type, ()), _describe))


def _describe(violation: Violation) -> str:
    path = format_path(violation.path)
    if violation.constraint.kind is Kind.REQUIRED:
        return f"missing required property '{path}'"
    values = ", ".join(violation.constraint.limit)
    return f"InvalidParameter: The value '{violation.value}' of parameter {path} is invalid. Use one of {values}."
