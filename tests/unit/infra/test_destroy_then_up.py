"""A stack that was destroyed can be deployed again the same day, although the account still reserves some names.

Proves that no name that stays in use after a deletion is used twice, that a log group which a service writes late is
reported with the remedy, and that a fresh subscription, prepared as preflight requires, has all resource providers that
a stack needs. Deletions go to the simulated clouds without the engine, so their order is not proven.
"""

from __future__ import annotations

from collections.abc import Callable

import pulumi
import pytest

from deploy.azure import list_namespaces
from infra import aws, azure
from infra.contract import Foundation
from infra.core.component import StackContext
from rehearsal.simulator.core.circumstances import Account, Circumstances
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.state_store import StateStore
from tests.support.recording import Recorder, record_program, stack_context

pytestmark = pytest.mark.slow

LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
FOUNDATIONS: dict[str, Callable[[StackContext], Foundation]] = {
    "azure": azure.create_foundation,
    "aws": aws.create_foundation,
}


def deploy(
    cloud: str, circumstances: Circumstances, state: StateStore | None = None, environment: str = "dev"
) -> Recorder:
    context = stack_context(cloud, environment)
    recorder = Recorder(circumstances, state)
    record_program(lambda: FOUNDATIONS[cloud](context), recorder=recorder)
    return recorder


def destroy(recorder: Recorder) -> None:
    """Delete everything that is not protected or retained, newest first, and repeat as long as something is deleted."""
    retained = {key for key, request in recorder.requests.items() if request.retainOnDelete}
    pending = [
        one
        for one in reversed(recorder.resources)
        if (one.type, one.name) not in retained and one.type.split(":")[0] in recorder.simulations
    ]
    while pending:
        refused = []
        for one in pending:
            urn = f"urn:pulumi:test::groundwork::{one.type}::{one.name}"
            try:
                recorder.simulations[one.type.split(":")[0]].delete(urn, one.type, one.id)
            except CloudError:
                refused.append(one)
        if len(refused) == len(pending):
            return
        pending = refused


@pytest.mark.parametrize("cloud", FOUNDATIONS)
def test_a_destroyed_stack_can_be_deployed_again(cloud: str) -> None:
    first = deploy(cloud, Circumstances())
    destroy(first)
    names = ("azure-native:keyvault:Vault", "aws:secretsmanager/secret:Secret")
    assert any(first.of_type(type_) for type_ in names)
    assert not any(list(first.state.all(type_)) for type_ in names)
    deploy(cloud, Circumstances(), first.state)


def test_a_log_group_that_was_written_late_is_reported_with_the_remedy() -> None:
    used = Circumstances(account=Account.USED)
    first = deploy("aws", used)
    destroy(first)
    with pytest.raises(pulumi.RunError, match="Remedy: aws logs delete-log-group"):
        deploy("aws", used, first.state)


def test_a_fresh_subscription_that_preflight_accepts_has_all_resource_providers() -> None:
    deploy("azure", Circumstances(registered=list_namespaces()), environment="prod")
    unprepared = [name for name in list_namespaces() if name != "Microsoft.KeyVault"]
    with pytest.raises(CloudError, match=r"not registered to use namespace 'Microsoft\.KeyVault'"):
        deploy("azure", Circumstances(registered=unprepared))
