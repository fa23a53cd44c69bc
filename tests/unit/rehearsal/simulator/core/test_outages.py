"""Outages of regions in the simulated clouds.

Proves that each kind of request fails during an outage and succeeds after it, and that other regions respond. Other
effects of a real outage, such as late or wrong responses, are not simulated.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values
from tests.support.aws_account import VPC, Account
from tests.support.azure_subscription import Subscription

INPUTS = {"cidrBlock": "10.0.0.0/16", "region": "eu-west-1"}


@pytest.mark.parametrize(
    "send_request",
    [
        lambda aws, _: aws.simulation.create("urn::b", VPC, Values(INPUTS), preview=False),
        lambda aws, id_: aws.simulation.update("urn::a", VPC, id_, Values(INPUTS), Values({}), preview=False),
        lambda aws, id_: aws.simulation.read(VPC, id_, Values(INPUTS), Values({})),
        lambda aws, id_: aws.simulation.delete("urn::a", VPC, id_),
        lambda aws, _: aws.simulation.invoke("aws:index/getCallerIdentity:getCallerIdentity", Values({})),
    ],
    ids=["create", "update", "read", "delete", "invoke"],
)
def test_every_request_fails_until_the_outage_ends(
    account: Account, send_request: Callable[[Account, str], object]
) -> None:
    id_, _ = account.simulation.create("urn::a", VPC, Values(INPUTS), preview=False)
    account.state.set_outages({"eu-west-1"})
    with pytest.raises(CloudError, match="the endpoints of eu-west-1 do not answer"):
        send_request(account, id_)
    account.state.set_outages(())
    send_request(account, id_)


def test_another_region_responds(account: Account) -> None:
    account.state.set_outages({"eu-west-1"})
    other = {**INPUTS, "region": "eu-central-1"}
    account.simulation.create("urn::a", VPC, Values(other), preview=False)


def test_a_location_of_azure_can_have_an_outage(azure: Subscription) -> None:
    azure.state.set_outages({"westeurope"})
    group = Values({"resourceGroupName": "rg", "location": "westeurope"})
    with pytest.raises(CloudError, match="westeurope do not answer"):
        azure.simulation.create("urn::a", "azure-native:resources:ResourceGroup", group, preview=False)


def test_another_process_can_start_an_outage(tmp_path: Path) -> None:
    served, other = StateStore(tmp_path / "state.db"), StateStore(tmp_path / "state.db")
    other.set_outages({"westeurope"})
    assert served.read_outages() == {"westeurope"}
    other.close()
    served.close()
