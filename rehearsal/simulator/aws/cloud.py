"""The simulated `aws` provider: one account in one region."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.aws import (
    addons,
    billing,
    cluster,
    databases,
    endpoints,
    events,
    identity,
    monitoring,
    network,
    nodes,
    references,
    secrets,
    storage,
    tables,
    telemetry,
    training,
)
from rehearsal.simulator.aws.api_constraints import constrain
from rehearsal.simulator.aws.capacity import limit
from rehearsal.simulator.aws.functions import FUNCTIONS
from rehearsal.simulator.core.cloud import Cloud, ProviderFunction
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest

ACCOUNT = "111122223333"  # the account number of AWS's own documentation
_REGIONAL = (
    network,
    endpoints,
    secrets,
    storage,
    databases,
    tables,
    telemetry,
    monitoring,
    events,
    cluster,
    addons,
    nodes,
    training,
)
_GLOBAL = (identity, billing)
MODULES = (*_REGIONAL, *_GLOBAL)


def _add_region(model: ResourceModel) -> ResourceModel:
    """A regional resource has its region as an input, by default the provider's; a change of it replaces the resource.

    Source: https://github.com/pulumi/pulumi-aws/blob/master/provider/region.go
    """
    return replace(
        model,
        defaults={**model.defaults, "region": lambda request, _: request.account.get("region")},
        replace_on_changes=(*model.replace_on_changes, "region"),
    )


MODELS: Mapping[str, ResourceModel] = {
    model.type: limit(constrain(model))
    for model in (
        *(_add_region(model) for module in _REGIONAL for model in module.MODELS),
        *(model for module in _GLOBAL for model in module.MODELS),
    )
}
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


class _Aws:
    name = "aws"
    account: Mapping[str, str] = {"account": ACCOUNT}
    functions: Mapping[str, ProviderFunction] = FUNCTIONS
    secret_functions: Collection[str] = ()

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:
        region = variables.get("region")
        if region is UNKNOWN:
            return {}
        if not region:
            raise CloudError(
                'missing required configuration key "aws:region": The region where AWS operations will take place. '
                "Examples are us-east-1, us-west-2, etc. (A resource without a provider in its options uses the "
                "default one, which has no region here: give it the provider of its component.)"
            )
        if not _REGION.fullmatch(region):
            raise CloudError(f"invalid AWS Region: {region}")
        # The engine sends lists of a provider's configuration as JSON.
        allowed = json.loads(variables.get("allowedAccountIds") or "[]")
        return {"region": region, **({"account": allowed[0]} if allowed else {})}

    def get_model(self, type_: str) -> ResourceModel | None:
        return MODELS.get(type_)

    def find_missing_reference(self, request: ResourceRequest, value: str) -> str | None:
        return references.find_missing_reference(request, value)


CLOUD: Cloud = _Aws()
