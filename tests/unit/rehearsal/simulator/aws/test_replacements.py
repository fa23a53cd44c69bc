"""Which changes replace an AWS resource, including inputs of which only some changes do, and changes that do not.

Not proven: that the provider plans the same. The lists follow the schemas in its source; the models have the URLs.
"""

from __future__ import annotations

from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.values import Values
from tests.support.aws_account import CLUSTER, DATABASE, DOMAIN, POSTGRES, VPC, Account

_KEY, _OTHER_KEY = (
    {"encryptionConfig": {"provider": {"keyArn": f"arn:aws:kms:eu-west-1:1:key/{name}"}, "resources": ["secrets"]}}
    for name in ("one", "other")
)


@pytest.mark.parametrize(
    ("type_", "old", "new", "replaces"),
    [
        pytest.param(CLUSTER, _KEY, _OTHER_KEY, [], id="another key of a cluster's secrets"),
        pytest.param(CLUSTER, {}, _KEY, [], id="encryption added"),
        pytest.param(CLUSTER, _KEY, {}, ["encryptionConfig"], id="encryption removed"),
        pytest.param(
            VPC, {"instanceTenancy": "dedicated"}, {"instanceTenancy": "default"}, [], id="tenancy set to default"
        ),
        pytest.param(VPC, {"instanceTenancy": "dedicated"}, {}, [], id="tenancy no longer set"),
        pytest.param(VPC, {}, {"instanceTenancy": "dedicated"}, ["instanceTenancy"], id="tenancy set to dedicated"),
        pytest.param(VPC, {}, {"instanceTenancy": UNKNOWN}, ["instanceTenancy"], id="tenancy not known yet"),
        pytest.param(DOMAIN, {"subnetIds": ["subnet-1"]}, {"subnetIds": ["subnet-2"]}, ["subnetIds"], id="subnets"),
        pytest.param(DATABASE, {"identifier": "acme"}, {"identifier": "acme-2"}, [], id="a database's name"),
        pytest.param(DATABASE, {"username": "mlflow"}, {"username": "admins"}, ["username"], id="its first user"),
    ],
)
def test_a_change_replaces_what_the_provider_replaces(
    account: Account, type_: str, old: dict[str, Any], new: dict[str, Any], replaces: list[str]
) -> None:
    difference = account.simulation.diff("urn::it", type_, "id-1", Values(old), Values(new))
    assert difference.changed
    assert difference.replaces == replaces


def test_a_database_is_renamed_in_place_but_not_to_a_name_that_is_taken(account: Account) -> None:
    inputs = {**POSTGRES, "region": "eu-west-1"}
    id_ = account.create(DATABASE, **inputs)
    account.create(DATABASE, **{**inputs, "identifier": "acme-reports"})
    free, taken = (Values({**inputs, "identifier": name}) for name in ("acme-old", "acme-reports"))
    renamed = account.simulation.update("urn::db", DATABASE, id_, free, Values({}), preview=False)
    assert renamed.plain["address"].startswith("acme-old.")
    with pytest.raises(CloudError, match="DBInstanceAlreadyExists: DB instance acme-reports already exists"):
        account.simulation.update("urn::db", DATABASE, id_, taken, Values({}), preview=False)


def test_a_renamed_database_that_is_replaced_is_deleted_first(account: Account) -> None:
    old = Values({**POSTGRES, "identifier": "acme-old"})
    new = Values({**POSTGRES, "identifier": "acme-old", "username": "admins"})
    assert account.simulation.diff("urn::db", DATABASE, "acme-db", old, new).delete_before_replace
