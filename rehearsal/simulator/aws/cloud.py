"""The simulated `aws` provider: one account in one region."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.aws import (
    cluster,
    databases,
    endpoints,
    identity,
    network,
    nodes,
    references,
    secrets,
    storage,
    telemetry,
    training,
)
from rehearsal.simulator.core.cloud import Cloud, ProviderFunction
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest, StateReader

ACCOUNT = "111122223333"  # the account number of AWS's own documentation
MODELS: Mapping[str, ResourceModel] = {
    model.type: model
    for module in (
        network,
        endpoints,
        identity,
        secrets,
        storage,
        databases,
        telemetry,
        cluster,
        nodes,
        training,
    )
    for model in module.MODELS
}
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


def _get_caller_identity(
    arguments: Mapping[str, Any],  # noqa: ARG001 it takes none
    state: StateReader,  # noqa: ARG001 it depends on nothing that exists
    account: Mapping[str, str],
) -> Mapping[str, Any]:
    number = account["account"]
    return {
        "accountId": number,
        "arn": f"arn:aws:sts::{number}:assumed-role/rehearsal/rehearsal",
        "id": number,
        "userId": "AROAEXAMPLE:rehearsal",
    }


def _get_availability_zones(
    arguments: Mapping[str, Any],
    state: StateReader,  # noqa: ARG001 it depends on nothing that exists
    account: Mapping[str, str],
) -> Mapping[str, Any]:
    region, excluded = account["region"], arguments.get("excludeZoneIds", [])
    names = [name for name in network.list_zone_names(region) if network.get_zone_id(name) not in excluded]
    return {
        "groupNames": [region],
        "id": region,
        "names": names,
        "region": region,
        "zoneIds": [network.get_zone_id(name) for name in names],
    }


class _Aws:
    name = "aws"
    account: Mapping[str, str] = {"account": ACCOUNT}
    functions: Mapping[str, ProviderFunction] = {
        "aws:index/getAvailabilityZones:getAvailabilityZones": _get_availability_zones,
        "aws:index/getCallerIdentity:getCallerIdentity": _get_caller_identity,
    }
    secret_functions: Collection[str] = ()

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:
        region = variables.get("region")
        if region is UNKNOWN:
            return {}
        if not region:
            raise CloudError(
                'missing required configuration key "aws:region": The region where AWS operations will take place. '
                "Examples are us-east-1, us-west-2, etc."
            )
        if not _REGION.fullmatch(region):
            raise CloudError(f"invalid AWS Region: {region}")
        return {"region": region}

    def get_model(self, type_: str) -> ResourceModel | None:
        return MODELS.get(type_)

    def find_missing_reference(self, request: ResourceRequest, value: str) -> str | None:
        return references.find_missing_reference(request, value)


CLOUD: Cloud = _Aws()
