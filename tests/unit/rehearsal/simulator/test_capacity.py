"""The quotas of an account, and machine sizes that a zone does not have in stock.

Proves each quota at its limit and one above it, the vCPUs of an account without preparation, and that a size that is
out of stock fails new resources but not existing ones. The foundations exceed the quotas exactly if preflight says so.
Not proven: that the quotas are the clouds' current ones; `kernel/service_quotas.py` has the day of the check.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from itertools import product
from typing import Any

import pytest

from deploy import aws as preflight
from deploy.findings import Status
from kernel import service_quotas
from kernel.service_quotas import (
    REGIONAL_CORES,
    STANDARD_INSTANCES,
    ServiceQuota,
    count_instance_vcpus,
    count_machine_vcpus,
    find_instance_quota,
    name_machine_family,
)
from rehearsal.simulator.aws.cloud import CLOUD as AWS
from rehearsal.simulator.clouds import create_simulations
from rehearsal.simulator.core.circumstances import Account as Kind
from rehearsal.simulator.core.circumstances import Circumstances, Shortage
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values
from tests.support.aws_account import (
    ATTACHMENT,
    DATABASE,
    EVENT_RULE,
    EVENT_TARGET,
    POSTGRES,
    QUEUE,
    ROLE_POLICY,
    TRUST,
    Account,
    EksCluster,
    allow,
    policy,
)
from tests.support.azure_subscription import Subscription, in_group
from tests.support.fake_programs import FakePrograms
from tests.support.recording import Recorder, stack_context
from tests.support.sample_foundations import record_foundation

UNPREPARED = Circumstances(account=Kind.UNPREPARED)
EIP = "aws:ec2/eip:Eip"


def in_circumstances(account: Account, circumstances: Circumstances) -> Account:
    account.simulation = Simulation(AWS, account.state, circumstances=circumstances)
    account.simulation.configure({"region": "eu-west-1"})
    return account


def test_the_quotas_were_compared_with_their_sources_lately() -> None:
    latest = service_quotas.CHECKED + service_quotas.LONGEST_WITHOUT_CHECK
    assert date.today() <= latest, "compare each quota in kernel/service_quotas.py with its source, then update CHECKED"


def test_a_region_has_five_networks_and_five_addresses(account: Account) -> None:
    for number in range(5):
        account.create_vpc(f"10.{number}.0.0/16")
        account.create(EIP, domain="vpc")
    with pytest.raises(CloudError, match="VpcLimitExceeded: The maximum number of VPCs has been reached"):
        account.create_vpc("10.9.0.0/16")
    with pytest.raises(CloudError, match="AddressLimitExceeded"):
        account.create(EIP, domain="vpc")
    elsewhere = account.create(EIP, domain="vpc", region="us-east-1")
    account.delete(EIP, elsewhere)


def test_a_role_has_ten_policies_and_a_limited_size_of_inline_policies(account: Account) -> None:
    account.create("aws:iam/role:Role", name="a", assumeRolePolicy=TRUST)
    for number in range(10):
        account.create(ATTACHMENT, role="a", policyArn=f"arn:aws:iam::aws:policy/P{number}")
    with pytest.raises(CloudError, match="Cannot exceed quota for PoliciesPerRole: 10"):
        account.create(ATTACHMENT, role="a", policyArn="arn:aws:iam::aws:policy/P10")
    large = policy(allow([f"s3:{'Get' * 10}{number}" for number in range(180)], Resource="*"))
    account.create(ROLE_POLICY, role="a", name="one", policy=large)
    with pytest.raises(CloudError, match="Maximum policy size of 10240 bytes exceeded for role a"):
        account.create(ROLE_POLICY, role="a", name="two", policy=large)


def test_a_rule_has_five_targets(account: Account) -> None:
    account.create(EVENT_RULE, name="r", eventPattern='{"source": ["aws.ec2"]}')
    queue = account.get_arn(QUEUE, account.create(QUEUE, name="q"))
    for number in range(5):
        account.create(EVENT_TARGET, rule="r", targetId=f"t{number}", arn=queue)
    with pytest.raises(CloudError, match="LimitExceededException"):
        account.create(EVENT_TARGET, rule="r", targetId="t5", arn=queue)


def test_an_unprepared_account_has_five_vcpus(account: Account) -> None:
    EksCluster(in_circumstances(account, Circumstances())).create_nodes(nodeGroupName="one")  # two nodes of four
    in_circumstances(account, UNPREPARED)
    group = account.state.all("aws:eks/nodeGroup:NodeGroup")[0]  # type: ignore[index]
    with pytest.raises(CloudError, match=r"your current vCPU limit of 5 allows .* 16 vCPUs in total"):
        account.create(group.type, **{**group.inputs, "nodeGroupName": "two"})
    with pytest.raises(CloudError, match="your current vCPU limit of 0 allows"):
        account.create(group.type, **{**group.inputs, "nodeGroupName": "two", "instanceTypes": ["g5.xlarge"]})


@pytest.mark.parametrize(
    ("place", "sizes", "is_refused"),
    [
        ("eu-west-1a", ["m6i.xlarge"], True),
        ("eu-west-1", ["m6i.xlarge"], True),
        ("eu-west-1c", ["m6i.xlarge"], False),
        ("eu-west-1a", ["m6i.xlarge", "m5.xlarge"], False),
        ("eu-west-1a", ["m5.xlarge"], False),
    ],
)
def test_a_new_group_needs_machines_in_each_zone(
    account: Account, place: str, sizes: list[str], is_refused: bool
) -> None:
    eks = EksCluster(in_circumstances(account, Circumstances(sold_out=[Shortage(place, "m6i.xlarge")])))
    if not is_refused:
        eks.create_nodes(instanceTypes=sizes)
        return
    with pytest.raises(CloudError, match=r"not have sufficient m6i.xlarge capacity in the .* \(eu-west-1a\)"):
        eks.create_nodes(instanceTypes=sizes)


def test_an_existing_group_needs_no_machines(account: Account) -> None:
    EksCluster(account).create_nodes(nodeGroupName="one")
    sold_out = Circumstances(sold_out=[Shortage("eu-west-1", "m6i.xlarge")])
    group = account.state.all("aws:eks/nodeGroup:NodeGroup")[0]  # type: ignore[index]
    simulation = in_circumstances(account, sold_out).simulation
    changed = Values({**group.inputs, "scalingConfig": {"minSize": 2, "maxSize": 9, "desiredSize": 2}})
    simulation.update("urn::x", group.type, group.id, changed, Values(dict(group.outputs)), preview=False)


@pytest.mark.parametrize(("is_doubled", "is_refused"), [(True, True), (False, False)])
def test_a_database_with_a_standby_needs_two_zones(account: Account, is_doubled: bool, is_refused: bool) -> None:
    subnets = account.create_subnets(account.create_vpc())
    group = account.create("aws:rds/subnetGroup:SubnetGroup", name="data", subnetIds=subnets)
    in_circumstances(account, Circumstances(sold_out=[Shortage("eu-west-1a", "db.t4g.medium")]))
    inputs = {**POSTGRES, "dbSubnetGroupName": group, "multiAz": is_doubled, "skipFinalSnapshot": True}
    if is_refused:
        with pytest.raises(CloudError, match="InsufficientDBInstanceCapacity"):
            account.create(DATABASE, **inputs)
    else:
        account.create(DATABASE, **inputs)


def test_an_identity_has_twenty_federated_credentials(azure: Subscription) -> None:
    azure.create("managedidentity:UserAssignedIdentity", in_group(resourceName="who"))
    for number in range(21):
        inputs = in_group(
            resourceName="who",
            federatedIdentityCredentialResourceName=f"fic{number}",
            issuer="https://issuer.example",
            subject=f"system:serviceaccount:ns:sa{number}",
            audiences=["api://AzureADTokenExchange"],
        )
        if number < 20:
            azure.create("managedidentity:FederatedIdentityCredential", inputs)
    with pytest.raises(CloudError, match="at most 20 can be added"):
        azure.create("managedidentity:FederatedIdentityCredential", inputs)


@pytest.fixture(scope="module")
def foundations() -> Mapping[tuple[str, str], Recorder]:
    """What the foundations declare, by cloud and environment."""
    return {
        (cloud, environment): record_foundation(cloud, environment).recorder
        for cloud, environment in product(("aws", "azure"), ("dev", "prod"))
    }


def find_refusals(recorder: Recorder, circumstances: Circumstances) -> str:
    """What the clouds refuse when the same resources are created in other circumstances."""
    simulations = create_simulations(StateStore(":memory:"), circumstances=circumstances)
    refusals = []
    for resource in recorder.resources:
        package = resource.type.split(":", 1)[0]
        if package == "pulumi" and resource.type.startswith("pulumi:providers:"):
            simulations[resource.type.rsplit(":", 1)[-1]].configure(resource.inputs)
        if package not in ("aws", "azure-native"):
            continue
        urn = f"urn:pulumi:test::groundwork::{resource.type}::{resource.name}"
        complete, _ = simulations[package].check(urn, resource.type, Values(dict(resource.inputs)))
        try:
            simulations[package].create(urn, resource.type, complete, preview=False)
        except CloudError as error:
            refusals.append(str(error))
    return "\n".join(refusals)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cloud", "circumstances", "message"),
    [
        (
            "aws",
            Circumstances(sold_out=[Shortage("eu-west-1b", "m6i.xlarge")]),
            r"capacity in the Availability Zone you requested \(eu-west-1b\)",
        ),
        (
            "azure",
            Circumstances(sold_out=[Shortage("westeurope-2", "Standard_D4s_v5")]),
            r"SkuNotAvailable: .* zones '1,2,3' .*Standard_D4s_v5 is sold out in the zones 2\)",
        ),
        ("aws", Circumstances(), r"^$"),
        ("azure", Circumstances(), r"^$"),
    ],
)
def test_a_foundation_depends_on_the_stock_of_its_region(
    foundations: Mapping[tuple[str, str], Recorder], cloud: str, circumstances: Circumstances, message: str
) -> None:
    assert re.search(message, find_refusals(foundations[cloud, "prod"], circumstances))


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_preflight_counts_the_addresses_that_a_stack_declares(
    foundations: Mapping[tuple[str, str], Recorder], environment: str
) -> None:
    """They are recognized by their declared tags, so that the stack's own addresses do not count as other ones."""
    settings, stack = stack_context("aws", environment).settings, f"aws-{environment}"
    declared = foundations["aws", environment].of_type("aws:ec2/eip:Eip")
    tagged = [
        {"Tags": [{"Key": key, "Value": each.inputs["tags"][key]} for key in each.inputs["tags"]]} for each in declared
    ]
    outputs = {
        "aws sts": {"Account": "111122223333", "Arn": "arn"},
        "aws ec2 describe-instance-types": {"InstanceTypes": [{"VCpuInfo": {"DefaultVCpus": 4}}]},
        "aws service-quotas": {"Quota": {"Value": len(declared)}},
        "aws ec2 describe-addresses": {"Addresses": tagged},
        "aws ec2 describe-vpcs": {"Vpcs": []},
    }
    programs = FakePrograms(outputs)
    *_, found, _ = preflight.check(settings, programs, stack=stack, is_interactive=False, for_deployment=True)
    assert (found.status, f"needs {len(declared)}, others in eu-west-1 have 0" in found.text) == (Status.OK, True)


@pytest.mark.parametrize("environment", ["dev", "prod"])
@pytest.mark.parametrize(
    ("cloud", "count", "quota", "code"),
    [
        ("aws", count_instance_vcpus, STANDARD_INSTANCES, "VcpuLimitExceeded"),
        ("azure", count_machine_vcpus, REGIONAL_CORES, "Quota"),
    ],
)
def test_an_unprepared_account_lacks_what_preflight_demands(
    foundations: Mapping[tuple[str, str], Recorder],
    environment: str,
    cloud: str,
    count: Callable[[str], int],
    quota: ServiceQuota,
    code: str,
) -> None:
    """Preflight adds up the minimum number of nodes, and the simulated cloud the nodes that are launched."""
    pools = stack_context(cloud, environment).settings.cluster.list_pools()
    least = sum(pool.minimum * count(pool.size) for pool in pools.values())
    # With all resource providers registered: missing ones would be refused before anything else.
    refusals = find_refusals(foundations[cloud, environment], Circumstances(account=Kind.UNPREPARED))
    assert (code in refusals) is (least > quota.limit), f"{least} vCPU"


@pytest.mark.parametrize(
    ("size", "vcpus", "quota"),
    [
        ("m6i.xlarge", 4, STANDARD_INSTANCES),
        ("m6i.24xlarge", 96, STANDARD_INSTANCES),
        ("t3.medium", 2, STANDARD_INSTANCES),
        ("m7g.medium", 1, STANDARD_INSTANCES),
        ("c5.large", 2, STANDARD_INSTANCES),
        ("g5.2xlarge", 8, service_quotas.GRAPHICS_INSTANCES),
        ("p4d.24xlarge", 96, service_quotas.ACCELERATED_INSTANCES),
        ("m5.metal", 0, STANDARD_INSTANCES),
        ("inf2.xlarge", 4, None),
    ],
)
def test_the_vcpus_and_the_quota_of_an_instance_follow_from_its_name(size: str, vcpus: int, quota: Any) -> None:
    assert (count_instance_vcpus(size), find_instance_quota(size)) == (vcpus, quota)


MACHINES: Mapping[str, tuple[int, str]] = {
    "Standard_D4s_v5": (4, "standardDSv5Family"),
    "Standard_D2ds_v5": (2, "standardDDSv5Family"),
    "Standard_E8-4s_v5": (4, "standardESv5Family"),
    "Standard_NC4as_T4_v3": (4, "standardNCASv3Family"),
}


@pytest.mark.parametrize("size", MACHINES)
def test_the_vcpus_and_the_series_of_a_machine_follow_from_its_name(size: str) -> None:
    assert (count_machine_vcpus(size), name_machine_family(size)) == MACHINES[size]
