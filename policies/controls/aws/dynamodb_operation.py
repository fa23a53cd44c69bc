"""Amazon DynamoDB: protection from deletion, and capacity that follows the load."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from policies.controls.tags import EXEMPT, is_exempt
from policies.engine.expectations import IS_TRUE, expect, one_of, pass_if_any
from policies.engine.findings import Findings, Props
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, of_type

TABLE = "aws:dynamodb/table:Table"
REPLICA = "aws:dynamodb/tableReplica:TableReplica"
SCALING = "aws:appautoscaling/target:Target"


@control(
    "aws-dynamodb-deletion-protection",
    title="DynamoDB tables are protected from deletion",
    severity="medium",
    types=(TABLE, REPLICA),
    remedy="set deletionProtectionEnabled to true",
    references=("FSBP DynamoDB.6",),
    settings={"exemptEnvironments": EXEMPT},
)
def deletion_protection(props: Props, settings: Mapping[str, Any]) -> Findings:
    if is_exempt(props, settings["exemptEnvironments"]):
        return
    yield from expect(props, "deletionProtectionEnabled", IS_TRUE, "one wrong command deletes the table")


@stack_control(
    "aws-dynamodb-capacity",
    title="The capacity of DynamoDB tables scales with the load",
    severity="low",
    types=(TABLE,),
    remedy="set billingMode to PAY_PER_REQUEST, or declare an appautoscaling Target for the table",
    references=("FSBP DynamoDB.1",),
)
def capacity(stack: Stack) -> StackFindings:
    targets = of_type(stack, SCALING)
    for table in of_type(stack, TABLE):
        on_demand = expect(table.props, "billingMode", one_of("PAY_PER_REQUEST"), "requests beyond it fail")
        scaled = [_expect_target_of(table, target) for target in targets]
        for finding in pass_if_any([*scaled, on_demand]):
            yield table, finding


def _expect_target_of(table: Resource, target: Resource) -> Findings:
    """Require that the target scales the table; its `resourceId` is `table/<name>`."""
    recorded = target.property_dependencies.get("resourceId", ())
    named = look_up(target.props, "resourceId") == f"table/{look_up(table.props, 'name')}"
    if table.urn not in recorded and not named:
        yield "no Target scales the table"
