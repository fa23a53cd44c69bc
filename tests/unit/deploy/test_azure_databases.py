"""The findings of a preflight on what Azure offers a subscription in a region: PostgreSQL servers, Cosmos DB accounts.

Proves how responses of Azure Resource Manager are read, which a local server sends. Not proven: that Azure then accepts
what it offers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from deploy.azure_databases import check_account, check_server
from deploy.azure_manager import ResourceManager
from deploy.findings import Finding, Status
from infra.core.settings import Settings
from tests.support.azure_manager_server import (
    SUBSCRIPTION,
    account_offer,
    serve_manager,
    server_offer,
    subscription_answers,
)

POSTGRESQL, COSMOS = "/providers/Microsoft.DBforPostgreSQL", "/providers/Microsoft.DocumentDB"
OWN = {"project": "groundwork", "stack": "azure-qa"}
PROD = "Standard_D2ds_v5"


@pytest.fixture
def answers() -> dict[str, Any]:
    return subscription_answers()


@pytest.fixture
def manager(answers: Mapping[str, Any]) -> Iterator[ResourceManager]:
    with serve_manager(answers) as url:
        yield ResourceManager(url, SUBSCRIPTION, "token")


def settings(environment: str = "dev", **resilience: Any) -> Settings:
    base = {"cloud": "azure", "location": "westeurope", "organization": "acme", "owner": "ml"}
    cluster = {"authorizedRanges": ["192.88.99.0/24"]}
    return Settings.model_validate(
        {**base, "environment": environment, "cluster": cluster, "resilience": resilience, "telemetry": {}}
    )


def find(check: Callable[..., Iterator[Finding]], manager: ResourceManager, wanted: Settings) -> list[Finding]:
    return list(check(manager, wanted, OWN))


@pytest.mark.parametrize(
    ("offers", "problems"),
    [
        ([server_offer(PROD)], []),
        ([], ["is restricted for this subscription"]),
        ([server_offer(PROD, restricted="Enabled")], ["is restricted for this subscription"]),
        ([server_offer("Standard_D2s_v3")], [f"does not offer database.size {PROD}"]),
        ([server_offer(PROD, standby="Disabled")], ["accepts no new servers with a standby in a second zone"]),
        ([server_offer(PROD, copies="Disabled")], ["keeps no copies of backups in a second region"]),
        (
            [server_offer("Standard_D2s_v3", standby="Disabled")],
            [f"does not offer database.size {PROD}", "accepts no new servers with a standby in a second zone"],
        ),
    ],
)
def test_the_server_has_to_be_offered(
    manager: ResourceManager, answers: dict[str, Any], offers: Any, problems: list[str]
) -> None:
    answers[f"{POSTGRESQL}/locations/westeurope/capabilities"] = {"value": offers}
    found = find(check_server, manager, settings("prod", secondLocation="northeurope"))
    assert [each.text for each in found if each.status is Status.MISSING] == [
        f"in westeurope, Azure Database for PostgreSQL {problem}" for problem in problems
    ]
    assert all(bool(each.remedy) is (each.status is Status.MISSING) for each in found)
    assert len(found) == max(1, len(problems))


def test_a_size_may_have_no_standby_where_others_have_one(manager: ResourceManager, answers: dict[str, Any]) -> None:
    offer = server_offer(PROD)
    offer["supportedServerEditions"][0]["supportedServerSkus"][0]["supportedHaMode"] = ["SameZone"]
    answers[f"{POSTGRESQL}/locations/westeurope/capabilities"] = {"value": [offer]}
    (found,) = find(check_server, manager, settings("prod"))
    assert "no new servers with a standby" in found.text


def test_a_server_without_a_standby_and_copies_needs_neither(manager: ResourceManager, answers: dict[str, Any]) -> None:
    offer = server_offer(standby="Disabled", copies="Disabled")
    answers[f"{POSTGRESQL}/locations/westeurope/capabilities"] = {"value": [offer]}
    (found,) = find(check_server, manager, settings())
    assert found.status is Status.OK


@pytest.mark.parametrize(
    ("environment", "offer", "problem"),
    [
        ("prod", account_offer(), ""),
        ("prod", account_offer(zones=False), "no zone-redundant accounts in westeurope"),
        ("dev", account_offer(zones=False), ""),
        ("dev", account_offer(regular=False), "no accounts in westeurope"),
        ("dev", account_offer("North Europe"), "no accounts in westeurope"),
    ],
)
def test_the_account_has_to_be_offered(
    manager: ResourceManager, answers: dict[str, Any], environment: str, offer: Any, problem: str
) -> None:
    answers[f"{COSMOS}/locations"] = {"value": [offer]}
    (found,) = find(check_account, manager, settings(environment))
    assert found.status is (Status.MISSING if problem else Status.OK)
    assert problem in found.text
    assert ("multiZoneExperiments" in found.remedy) is (environment == "prod" and bool(problem))


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_what_the_stack_has_does_not_have_to_be_offered(
    manager: ResourceManager, answers: dict[str, Any], environment: str
) -> None:
    """Azure keeps existing servers where it refuses new ones."""
    others = {"tags": {**OWN, "stack": "azure-other"}}
    for path, check in ((f"{POSTGRESQL}/flexibleServers", check_server), (f"{COSMOS}/databaseAccounts", check_account)):
        answers[f"{POSTGRESQL}/locations/westeurope/capabilities"] = answers[f"{COSMOS}/locations"] = {"value": []}
        for existing, status in (([others, {}], Status.MISSING), ([others, {"tags": {**OWN, "x": "y"}}], Status.OK)):
            answers[path] = {"value": existing}
            (found,) = find(check, manager, settings(environment))
            assert found.status is status
