"""The findings of a preflight on Azure: identity, subscription, kubelogin, and what a new subscription lacks.

Proves how responses of Azure Resource Manager are read, which a local server sends, and the output of `az` and
`kubelogin`, which do not run. tests/unit/deploy/test_azure_identity.py proves the other ways to sign in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from deploy import azure
from deploy.azure import NAMESPACES
from deploy.findings import Finding, Status
from infra.core.settings import Settings
from rehearsal.simulator.azure.cloud import MODELS
from tests.support.azure_manager_server import (
    SUBSCRIPTION,
    TENANT,
    error,
    offer,
    serve_manager,
    subscription_answers,
    usage,
)
from tests.support.fake_programs import FakePrograms, refuse

OTHER = "00000000-0000-0000-0000-000000000009"
COMPUTE = "/providers/Microsoft.Compute"


def settings(**changed: Any) -> Settings:
    cluster = {"authorizedRanges": ["192.88.99.0/24"], **changed.pop("cluster", {})}
    base = {"cloud": "azure", "environment": "dev", "location": "westeurope", "organization": "acme", "owner": "ml"}
    return Settings.model_validate({**base, "cluster": cluster, **changed})


@pytest.fixture
def answers() -> dict[str, Any]:
    return subscription_answers()


@pytest.fixture
def programs(answers: Mapping[str, Any]) -> Iterator[FakePrograms]:
    """A laptop after `az login`, with kubelogin."""
    with serve_manager(answers) as url:
        yield FakePrograms(
            {
                "az account show": {"id": SUBSCRIPTION, "tenantId": TENANT, "user": {"name": "ada@acme.example"}},
                "az cloud show": {"endpoints": {"resourceManager": f"{url}/"}},
                "az account get-access-token": {"accessToken": "token"},
                "kubelogin get-token": "{}",
            }
        )


def check(programs: FakePrograms, *, is_interactive: bool = False, **changed: Any) -> dict[str, Finding]:
    """The findings before a deployment, keyed by subject; of several findings on a subject, the last."""
    found = azure.check(
        settings(**changed), programs, stack="azure-qa", is_interactive=is_interactive, for_deployment=True
    )
    return {finding.subject: finding for finding in found}


def with_environment(programs: FakePrograms, **environment: str) -> FakePrograms:
    return FakePrograms(programs.answers, environment)


def test_a_laptop_with_everything_is_ready(programs: FakePrograms) -> None:
    found = check(programs)
    assert {finding.status for finding in found.values()} == {Status.OK}
    assert set(found) == {
        "credentials",
        "subscription",
        "kubelogin",
        "providers",
        "features",
        "rights",
        "quota",
        "addresses",
        "database",
        "experiments",
    }
    assert found["credentials"].text == f"ada@acme.example of tenant {TENANT}, by Azure CLI"
    assert found["subscription"].text == f"Machine learning ({SUBSCRIPTION}), which no setting requires"


def test_all_missing_programs_are_reported() -> None:
    found = list(azure.check_programs(FakePrograms({})))
    assert [finding.subject for finding in found] == ["az", "kubelogin"]
    in_ci = FakePrograms({}, {"ARM_USE_OIDC": "true"})
    assert [finding.subject for finding in azure.check_programs(in_ci)] == ["kubelogin"]


def test_the_pinned_subscription_and_tenant_are_requested(programs: FakePrograms) -> None:
    found = check(programs, subscription=SUBSCRIPTION, tenant=TENANT)
    assert {finding.status for finding in found.values()} == {Status.OK}
    assert f"az account show --subscription {SUBSCRIPTION} --output json" in programs.commands


def test_a_tenant_that_differs_from_the_pinned_one_is_rejected(programs: FakePrograms) -> None:
    found = check(programs, tenant=OTHER)["tenant"]
    assert (found.status, TENANT in found.text, OTHER in found.text) == (Status.MISSING, True, True)


def test_a_variable_that_contradicts_the_pinned_subscription_is_rejected(programs: FakePrograms) -> None:
    found = check(with_environment(programs, ARM_SUBSCRIPTION_ID=OTHER), subscription=SUBSCRIPTION)["subscription"]
    assert found.status is Status.MISSING
    assert f"ARM_SUBSCRIPTION_ID is {OTHER}, but groundwork:subscription is {SUBSCRIPTION}" in found.text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error("AuthorizationFailed", "The client 'ada' does not have authorization."), "does not have authorization"),
        ({"displayName": "Old", "state": "Disabled", "tenantId": TENANT}, "is Disabled"),
    ],
)
def test_an_unusable_subscription_is_rejected(
    programs: FakePrograms, answers: dict[str, Any], answer: Any, words: str
) -> None:
    answers[""] = answer
    found = check(programs)["subscription"]
    assert (found.status, words in found.text) == (Status.MISSING, True)


def test_an_expired_login_is_reported_in_the_clis_words(programs: FakePrograms) -> None:
    message = "ERROR: AADSTS700082: The refresh token has expired due to inactivity."
    expired = FakePrograms({**programs.answers, "az account get-access-token": refuse(message)})
    found = check(expired)["credentials"]
    assert found.status is Status.MISSING
    assert "signing in by Azure CLI fails: AADSTS700082" in found.text
    assert "az login" in found.remedy


@pytest.mark.parametrize(
    ("login", "arguments"),
    [
        ("azurecli", "--login azurecli --server-id 6dae42f8-4368-4678-94ff-3960e28e3630"),
        ("workloadidentity", "--login workloadidentity --server-id 6dae42f8-4368-4678-94ff-3960e28e3630 --tenant-id"),
    ],
)
def test_kubelogin_signs_in_by_the_method_of_the_kubeconfig(programs: FakePrograms, login: str, arguments: str) -> None:
    assert check(programs, cluster={"login": login}, tenant=TENANT)["kubelogin"].status is Status.OK
    assert f"kubelogin get-token {arguments}" in programs.commands[-1]


def test_a_failed_login_is_reported_before_the_cluster_is_created(programs: FakePrograms) -> None:
    message = "Error: federated token file cannot be empty"
    found = check(FakePrograms({**programs.answers, "kubelogin get-token": refuse(message)}))["kubelogin"]
    assert found.status is Status.MISSING
    assert "by azurecli fails: federated token file cannot be empty" in found.text


def test_a_device_code_needs_a_terminal(programs: FakePrograms) -> None:
    assert check(programs, cluster={"login": "devicecode"})["kubelogin"].status is Status.MISSING
    by_variable = with_environment(programs, AAD_LOGIN_METHOD="devicecode")
    assert check(by_variable)["kubelogin"].status is Status.MISSING
    found = check(by_variable, is_interactive=True)["kubelogin"]
    assert found.status is Status.OK
    assert not any("kubelogin" in line for line in programs.commands), "it would wait for a person"


def test_providers_of_all_declared_types_have_to_be_registered(programs: FakePrograms, answers: dict[str, Any]) -> None:
    answers["/providers"]["value"][1]["registrationState"] = "NotRegistered"
    answers["/providers"]["value"].pop()
    found = check(programs)["providers"]
    assert found.status is Status.MISSING
    assert "Microsoft.Compute, Microsoft.Storage" in found.text
    assert "az provider register --wait --namespace Microsoft.Compute; az provider" in found.remedy


def test_every_module_that_a_stack_declares_has_its_provider() -> None:
    ids = {token.split(":")[1]: str(model.id) for token, model in MODELS.items()}
    assert set(NAMESPACES) == set(ids)
    named = {module: id_.split("/providers/")[-1].split("/")[0] for module, id_ in ids.items() if "/Microsoft." in id_}
    assert {module: NAMESPACES[module] for module in named} == named


FEATURES = "/providers/Microsoft.Features/providers"
UNREGISTERED = {"properties": {"state": "NotRegistered"}}


def test_encryption_on_hosts_has_to_be_registered(programs: FakePrograms, answers: dict[str, Any]) -> None:
    answers[f"{FEATURES}/Microsoft.Compute/features/EncryptionAtHost"] = UNREGISTERED
    found = check(programs)["features"]
    assert (found.status, "az feature register" in found.remedy) == (Status.MISSING, True)


def test_an_unregistered_preview_feature_is_a_note(programs: FakePrograms, answers: dict[str, Any]) -> None:
    """A subscription does not list a feature whose preview has ended, like the one of these tests."""
    answers[f"{FEATURES}/Microsoft.ContainerService/features/DisableSSHPreview"] = UNREGISTERED
    found = check(programs)["features"]
    assert (found.status, "DisableSSHPreview is NotRegistered" in found.text) == (Status.NOTE, True)


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        ([{"actions": ["*"], "notActions": []}], Status.OK),
        ([{"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}], Status.MISSING),
        (
            [
                {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]},
                {"actions": ["Microsoft.Authorization/roleAssignments/write"]},
            ],
            Status.OK,
        ),
    ],
    ids=["Owner", "Contributor", "Contributor and a second role"],
)
def test_the_identity_has_to_assign_roles(
    programs: FakePrograms, answers: dict[str, Any], permissions: Any, status: Status
) -> None:
    answers["/providers/Microsoft.Authorization/permissions"] = {"value": permissions}
    assert check(programs)["rights"].status is status


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([], "is not offered in westeurope"),
        ([offer("Standard_D4s_v5", "f", 4, zones="12")], "is offered in 2 of three zones"),
        (
            [{**offer("Standard_D4s_v5", "f", 4), "restrictions": [{"type": "Location"}]}],
            "is not available to this subscription",
        ),
        (
            [
                {
                    **offer("Standard_D4s_v5", "f", 4),
                    "restrictions": [{"type": "Zone", "restrictionInfo": {"zones": ["3"]}}],
                }
            ],
            "is offered in 2 of three zones",
        ),
    ],
)
def test_node_sizes_have_to_be_offered_in_three_zones(
    programs: FakePrograms, answers: dict[str, Any], sizes: Any, words: str
) -> None:
    answers[f"{COMPUTE}/skus"] = {"value": sizes}
    found = check(programs)["node size"]
    assert (found.status, words in found.text) == (Status.MISSING, True)


@pytest.mark.parametrize(
    ("current", "limit", "status"),
    [(0, 10, Status.MISSING), (0, 16, Status.NOTE), (40, 60, Status.NOTE), (48, 100, Status.OK)],
)
def test_quota_is_compared_with_the_cores_of_all_pools(
    programs: FakePrograms, answers: dict[str, Any], current: int, limit: int, status: Status
) -> None:
    """Two pools of 4 vCPU: 2 and 2 nodes at least, 3 and 10 at most."""
    answers[f"{COMPUTE}/locations/westeurope/usages"] = {"value": [usage("standardDSv5Family", current, limit)]}
    found = check(programs)["quota"]
    assert found.status is status
    assert "need 16 to 52" in found.text


def test_a_gpu_pool_needs_a_quota_but_no_initial_node(programs: FakePrograms, answers: dict[str, Any]) -> None:
    answers[f"{COMPUTE}/skus"]["value"].append(offer("Standard_NC4as_T4_v3", "standardNCASv3_T4Family", 4))
    answers[f"{COMPUTE}/locations/westeurope/usages"] = {"value": [usage("standardNCASv3_T4Family", 0, 0)]}
    found = check(programs, cluster={"gpuPool": {"size": "Standard_NC4as_T4_v3", "maximum": 3}})["quota"]
    assert found.status is Status.NOTE
    assert "need 0 to 12" in found.text


@pytest.mark.parametrize("name", ["IPv4StandardSkuPublicIpAddresses", "StandardSkuPublicIpAddresses"])
@pytest.mark.parametrize(
    ("own", "current", "status"),
    [(0, 9, Status.OK), (0, 10, Status.MISSING), (1, 10, Status.OK), (1, 11, Status.MISSING)],
    ids=["one is left", "none is left", "the last is its own", "others have all"],
)
def test_the_stack_needs_a_free_public_address_unless_it_has_one(
    programs: FakePrograms, answers: dict[str, Any], name: str, own: int, current: int, status: Status
) -> None:
    tags = {"project": "groundwork", "stack": "azure-qa", "organization": "acme", "owner": "ml"}
    addresses = [
        *({"location": "westeurope", "tags": tags} for _ in range(own)),
        {"location": "northeurope", "tags": tags},
        {"location": "westeurope", "tags": {**tags, "stack": "azure-prod"}},
        {"location": "westeurope"},
    ]
    answers["/providers/Microsoft.Network/publicIPAddresses"] = {"value": addresses}
    answers["/providers/Microsoft.Network/locations/westeurope/usages"] = {"value": [usage(name, current, 10)]}
    found = check(programs)["addresses"]
    assert found.status is status
    assert found.text == f"{name}: the stack needs 1, others have {current - own}, and the quota is 10"
    assert bool(found.remedy) is (status is Status.MISSING)


def test_a_denied_request_is_a_note_and_does_not_stop_the_command(
    programs: FakePrograms, answers: dict[str, Any]
) -> None:
    answers[f"{COMPUTE}/skus"] = error("AuthorizationFailed", "no authorization")
    found = check(programs)
    assert found["quota"].status is Status.NOTE
    assert "AuthorizationFailed: no authorization" in found["quota"].text
    assert found["rights"].status is Status.OK
