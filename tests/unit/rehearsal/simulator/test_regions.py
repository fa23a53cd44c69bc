"""Regions and locations are inputs of every regional resource, as in the real providers.

A change of an AWS provider's region replaces its resources; a change of an Azure provider's location leaves existing
resources where they are, and applies to new ones only. Which types are regional is read from the providers' SDKs. Not
covered: resource groups that the simulated cloud does not have.
"""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from rehearsal.simulator.aws import cloud as aws
from rehearsal.simulator.azure import cloud as azure
from rehearsal.simulator.azure.arm import refuse_other_location
from rehearsal.simulator.core.values import Values
from tests.support.aws_account import VPC, Account
from tests.support.azure_subscription import VALID_INPUTS, Subscription

# Their location is an input too, which the provider does not fill in: it has to be `global`.
_GLOBAL = {"azure-native:privatedns:PrivateZone", "azure-native:privatedns:VirtualNetworkLink"}


def _has_input(type_: str, name: str) -> bool:
    package, module, class_name = type_.split(":")
    module_name = f"pulumi_{package.replace('-', '_')}.{module.split('/', 1)[0]}"
    arguments = getattr(import_module(module_name), class_name)._internal_init
    return name in inspect.signature(arguments).parameters


@pytest.mark.slow
@pytest.mark.parametrize("type_", aws.MODELS)
def test_a_region_is_an_input_if_the_sdk_has_one(type_: str) -> None:
    model = aws.MODELS[type_]
    is_regional = _has_input(type_, "region")
    assert ("region" in model.defaults, "region" in model.replace_on_changes) == (is_regional, is_regional)


@pytest.mark.slow
@pytest.mark.parametrize("type_", sorted(set(azure.MODELS) - _GLOBAL))
def test_a_location_is_an_input_if_the_sdk_has_one(type_: str) -> None:
    model = azure.MODELS[type_]
    is_located = _has_input(type_, "location")
    is_bound = "location" in model.replace_on_changes or refuse_other_location in model.transitions
    assert ("location" in model.defaults, is_bound) == (is_located, is_located)


def test_another_region_of_the_provider_replaces_a_resource(account: Account) -> None:
    inputs = Values({"cidrBlock": "10.0.0.0/16"})
    old, _ = account.simulation.check("urn::vpc", VPC, inputs)
    account.simulation.configure({"region": "eu-central-1"})
    new, _ = account.simulation.check("urn::vpc", VPC, inputs, old)
    assert (old.plain["region"], new.plain["region"]) == ("eu-west-1", "eu-central-1")
    assert account.simulation.diff("urn::vpc", VPC, "vpc-1", old, new).replaces == ["region"]
    id_ = account.create(VPC, **old.plain)
    assert ":eu-west-1:" in account.get_arn(VPC, id_)


def test_another_location_of_the_provider_applies_to_new_resources_only(azure: Subscription) -> None:
    type_, inputs = "azure-native:network:VirtualNetwork", Values(VALID_INPUTS["network:VirtualNetwork"])
    old, _ = azure.simulation.check("urn::x", type_, inputs)
    azure.simulation.configure({"location": "northeurope"})
    kept, _ = azure.simulation.check("urn::x", type_, inputs, old)
    new, _ = azure.simulation.check("urn::y", type_, inputs)
    assert [values.plain["location"] for values in (old, kept, new)] == ["westeurope", "westeurope", "northeurope"]
    assert azure.simulation.diff("urn::x", type_, "id", old, kept).changed == []


def test_without_a_location_of_the_provider_a_resource_has_its_groups() -> None:
    subscription = Subscription(location="")
    subscription.create("resources:ResourceGroup", {"resourceGroupName": "rg", "location": "uksouth"})
    inputs = Values(VALID_INPUTS["network:VirtualNetwork"])
    found, _ = subscription.simulation.check("urn::x", "azure-native:network:VirtualNetwork", inputs)
    assert found.plain["location"] == "uksouth"
