"""Updates that AWS refuses because of the old values: for each restricted type, some are refused and others accepted.

Every model has to list its transitions, or that it has none (`UNRESTRICTED`): it does not load otherwise. A test here
fails if a model has transitions and no row has its type. Not proven: that AWS has these rules. No test calls AWS.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.simulator.aws.cloud import CLOUD, MODELS
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import ResourceRecord
from rehearsal.simulator.core.values import Values
from tests.support.aws_account import (
    CLUSTER,
    DATABASE,
    NODES,
    POSTGRES,
    SUBNET,
    TEMPLATE,
    Account,
    EksCluster,
)
from tests.support.transitions import Change, FullNodes, find_update_error, has_transitions, inputs_at

_VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
_SUBNET_GROUP = "aws:rds/subnetGroup:SubnetGroup"
_INTERNET_GATEWAY = "aws:ec2/internetGateway:InternetGateway"
_ALIAS = "aws:kms/alias:Alias"
_INPUTS: dict[str, dict[str, Any]] = {DATABASE: POSTGRES}

CHANGES = [
    Change(DATABASE, "allocatedStorage", 64, 128, 32, r"size \(32\) cannot be less than the current storage size \(64"),
    Change(DATABASE, "allocatedStorage", 100, 399, 400, "Invalid iops value for .* gp3: 3000 .*from 100 to 400 GiB"),
    Change(DATABASE, "allocatedStorage", 400, 500, 200, "cannot be less"),
    Change(DATABASE, "maxAllocatedStorage", 128, 142, 70, "must be increased by at least 10 percent"),
    Change(DATABASE, "engineVersion", "16.4", "16.6", "16.3", "Cannot upgrade postgres from 16.4 to 16.3"),
    Change(DATABASE, "engineVersion", "16", "16.6", "17", "AllowMajorVersionUpgrade flag must be present"),
    Change(CLUSTER, "version", "1.33", "1.34", "1.35", "minor version update from 1.33 to 1.35"),
    Change(CLUSTER, "version", "1.33", "1.33", "1.32", "version downgrade from 1.33 to 1.32"),
    Change(CLUSTER, "version", "1.9", "1.10", "1.8", "version downgrade from 1.9 to 1.8"),
    Change(CLUSTER, "accessConfig.authenticationMode", "API_AND_CONFIG_MAP", "API", "CONFIG_MAP", "mode update from"),
    Change(CLUSTER, "accessConfig.authenticationMode", "CONFIG_MAP", "API_AND_CONFIG_MAP", "API", "CONFIG_MAP to API"),
    Change(NODES, "version", "1.33", "1.34", "1.32", "downgrade from 1.33 to 1.32"),
    Change(_VERSIONING, "versioningConfiguration.status", "Enabled", "Suspended", "Disabled", "from 'Enabled' to"),
]
# These depend on other resources too; each has its own test below.
_IN_A_NETWORK = {_SUBNET_GROUP, _INTERNET_GATEWAY, _ALIAS}


def test_every_restricted_type_is_tested() -> None:
    restricted = {type_ for type_, model in MODELS.items() if has_transitions(model)}
    assert restricted == {change.type for change in CHANGES} | _IN_A_NETWORK


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change.type}-{change.path}-{change.refused}")
def test_a_transition_is_refused_accepted_and_not_decided_while_unknown(account: Account, change: Change) -> None:
    inputs = _INPUTS.get(change.type, {})
    old = inputs_at(inputs, change.path, change.old)
    messages = [
        find_update_error(account.simulation, account.state, change.type, old, inputs_at(inputs, change.path, value))
        for value in (change.old, change.accepted, UNKNOWN)
    ]
    assert messages == ["", "", ""]
    refused = inputs_at(inputs, change.path, change.refused)
    assert re.search(change.message, find_update_error(account.simulation, account.state, change.type, old, refused))


def test_an_input_can_allow_a_transition(account: Account) -> None:
    old = {**POSTGRES, "allocatedStorage": 100, "engineVersion": "16.4"}
    for change in (
        {"allocatedStorage": 400, "iops": 12000},
        {"engineVersion": "17.2", "allowMajorVersionUpgrade": True},
    ):
        assert find_update_error(account.simulation, account.state, DATABASE, old, {**old, **change}) == ""


@pytest.mark.parametrize(
    ("present", "size", "most", "kept", "message"),
    [
        (74, 64, 128, 74, ""),
        (128, 71, 142, 128, ""),
        (128, 70, 140, 128, "must be increased by at least 10 percent (140; storage has 128 GiB)"),
        (128, 64, None, 64, "size (64) cannot be less than the current storage size (128)"),
    ],
)
def test_the_provider_keeps_storage_that_has_grown_below_a_maximum(
    account: Account, present: int, size: int, most: int | None, kept: int, message: str
) -> None:
    old = {**POSTGRES, "allocatedStorage": present, "maxAllocatedStorage": 128}
    new = {**POSTGRES, "allocatedStorage": size, "maxAllocatedStorage": most}
    difference = account.simulation.diff("urn::x", DATABASE, "acme-db", Values(old), Values(new))
    assert ("allocatedStorage" in difference.changed) is (kept == size)
    account.state.put(ResourceRecord(DATABASE, "acme-db", "urn::x", 0, old, old))
    if message:
        with pytest.raises(CloudError, match=re.escape(message)):
            account.simulation.update("urn::x", DATABASE, "acme-db", Values(new), Values(old), preview=True)
    else:
        updated = account.simulation.update("urn::x", DATABASE, "acme-db", Values(new), Values(old), preview=True)
        assert updated.plain["allocatedStorage"] == kept


def test_without_a_refresh_storage_that_has_grown_is_not_sent(account: Account) -> None:
    known = {**POSTGRES, "maxAllocatedStorage": 128}
    present = {**known, "allocatedStorage": 128}
    account.state.put(ResourceRecord(DATABASE, "acme-db", "urn::x", 0, present, present))
    update = partial(account.simulation.update, "urn::x", DATABASE, "acme-db", preview=False)
    updated = update(Values({**known, "backupRetentionPeriod": 14}), Values(known))
    assert (updated.plain["allocatedStorage"], updated.plain["backupRetentionPeriod"]) == (128, 14)
    with pytest.raises(CloudError, match=re.escape("size (70) cannot be less than the current storage size (128)")):
        update(Values({**known, "allocatedStorage": 70}), Values(known))


def test_the_iops_of_small_storage_cannot_be_set(account: Account) -> None:
    assert "storage size less than 400" in account.check(DATABASE, {**POSTGRES, "iops": 3000})
    assert account.check(DATABASE, {**POSTGRES, "iops": 12000, "allocatedStorage": 400}) == ""


def test_a_cluster_stays_in_its_network_and_zones(account: Account, eks: EksCluster) -> None:
    record = account.state.get(CLUSTER, "acme")
    assert record is not None
    same_zone = account.create(SUBNET, vpcId=eks.vpc, cidrBlock="10.0.9.0/24", availabilityZone="eu-west-1a")
    third_zone = account.create(SUBNET, vpcId=eks.vpc, cidrBlock="10.0.10.0/24", availabilityZone="eu-west-1c")
    elsewhere = account.create_subnets(account.create_vpc())
    for subnets, message in (
        ([same_zone, eks.subnets[1]], ""),
        ([third_zone, eks.subnets[1]], "must stay in the Availability Zones that it was created in"),
        (elsewhere, "must stay in the VPC that it was created in"),
    ):
        new = {**record.inputs, "vpcConfig": {"subnetIds": subnets}}
        assert message in find_update_error(account.simulation, account.state, CLUSTER, record.inputs, new)


def test_a_subnet_group_stays_in_its_network_and_a_database_can_only_move_to_another(account: Account) -> None:
    vpc = account.create_vpc()
    subnets, others = account.create_subnets(vpc), account.create_subnets(account.create_vpc())
    old = {"name": "one", "subnetIds": subnets}
    new = {"name": "one", "subnetIds": others}
    assert "not in the same Vpc" in find_update_error(account.simulation, account.state, _SUBNET_GROUP, old, new)
    account.create(_SUBNET_GROUP, name="here", subnetIds=subnets)
    account.create(_SUBNET_GROUP, name="here-too", subnetIds=subnets)
    account.create(_SUBNET_GROUP, name="there", subnetIds=others)
    database = {**POSTGRES, "dbSubnetGroupName": "here"}
    for group, message in (("here-too", "You cannot move DB instance"), ("there", "")):
        moved = {**database, "dbSubnetGroupName": group}
        assert message in find_update_error(account.simulation, account.state, DATABASE, database, moved)


def test_an_internet_gateway_in_use_is_not_detached(account: Account) -> None:
    vpc, other = account.create_vpc(), account.create_vpc()
    gateway = account.create(_INTERNET_GATEWAY, vpcId=vpc)
    subnet, _ = account.create_subnets(vpc)

    def move() -> str:
        return find_update_error(
            account.simulation, account.state, _INTERNET_GATEWAY, {"vpcId": vpc}, {"vpcId": other}, gateway
        )

    account.create("aws:ec2/natGateway:NatGateway", subnetId=subnet, connectivityType="private")
    assert move() == ""
    account.create("aws:ec2/natGateway:NatGateway", subnetId=subnet)
    assert f"DependencyViolation: Network {vpc} has some mapped public address" in move()


def test_an_alias_stays_with_its_kind_of_key(account: Account) -> None:
    keys = [account.create("aws:kms/key:Key", **usage) for usage in ({}, {}, {"keyUsage": "SIGN_VERIFY"})]
    first, second, signing = ({"name": "alias/one", "targetKeyId": key} for key in keys)
    assert find_update_error(account.simulation, account.state, _ALIAS, first, second) == ""
    assert "another kind of key" in find_update_error(account.simulation, account.state, _ALIAS, first, signing)


def test_nodes_too_far_behind_block_an_update_of_the_cluster(account: Account, eks: EksCluster) -> None:
    cluster = account.state.get(CLUSTER, "acme")
    assert cluster is not None
    account.state.put(replace(cluster, inputs={**cluster.inputs, "version": "1.31"}))
    eks.create_nodes()
    for old, new, message in (("1.33", "1.34", ""), ("1.34", "1.35", "must be updated to match cluster version 1.34")):
        before, after = ({**cluster.inputs, "version": version} for version in (old, new))
        assert message in find_update_error(account.simulation, account.state, CLUSTER, before, after, "acme")


def test_nodes_are_not_newer_than_their_cluster(account: Account, eks: EksCluster) -> None:
    cluster = account.state.get(CLUSTER, "acme")
    assert cluster is not None
    account.state.put(replace(cluster, inputs={**cluster.inputs, "version": "1.33"}))
    with pytest.raises(CloudError, match=r"version 1\.35 is newer than version 1\.33"):
        eks.create_nodes(version="1.35")


def test_a_launch_template_gets_a_new_version_unless_only_its_tags_change(account: Account) -> None:
    inputs = {"name": "nodes", "imageId": "ami-1", "tags": {"owner": "ml"}, "updateDefaultVersion": True}
    id_ = account.create(TEMPLATE, **inputs)
    for change, version in (
        ({"tags": {"owner": "ops"}}, 1),
        ({"imageId": "ami-2"}, 2),
        ({"updateDefaultVersion": False, "imageId": "ami-3"}, 3),
    ):
        inputs |= change
        record = account.state.get(TEMPLATE, id_)
        assert record is not None
        values, _ = account.simulation.check("urn::x", TEMPLATE, Values(dict(inputs)))
        old = Values(dict(record.outputs))
        preview, updated = (
            account.simulation.update("urn::x", TEMPLATE, id_, values, old, preview=on) for on in (True, False)
        )
        assert updated.plain["latestVersion"] == version
        assert preview.plain["latestVersion"] == (UNKNOWN if "imageId" in change else version)
    assert updated.plain["defaultVersion"] == 2


def test_a_disruption_budget_can_block_a_rolling_update(account: Account, eks: EksCluster) -> None:
    eks.create_nodes(nodeGroupName="user")
    group = account.state.get(NODES, "acme:user")
    assert group is not None
    simulation, outputs = Simulation(CLOUD, account.state, FullNodes()), Values(dict(group.outputs))
    simulation.configure({"region": "eu-west-1"})

    def update(**change: Any) -> Values:
        inputs = Values({**group.inputs, **change})
        return simulation.update("urn::x", NODES, group.id, inputs, outputs, preview=False)

    update(labels={"a": "b"})
    update(version="1.36", forceUpdateVersion=True)
    with pytest.raises(CloudError, match=r"PodEvictionFailure: .* in node group user .*mlflow/mlflow-0"):
        update(releaseVersion="1.36.1-20260101")
