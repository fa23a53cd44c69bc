"""Checks what a deployment to Azure needs: an identity, its subscription, kubelogin, and what a fresh one lacks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from functools import partial
from typing import Any

from deploy import azure_databases, azure_identity
from deploy.azure_identity import AZURE_CLI, Caller, SignInError
from deploy.azure_manager import ManagerError, ResourceManager, has_tags
from deploy.findings import Finding, list_missing, missing, note, ok
from deploy.programs import Programs
from infra.core.naming import Naming
from infra.core.settings import Settings
from kernel.kubelogin import AKS_SERVER, list_token_arguments

_KUBELOGIN_URL = "https://azure.github.io/kubelogin/install.html"
_SIGN_IN = (
    "sign in with `az login`, or set ARM_CLIENT_ID, ARM_TENANT_ID and ARM_SUBSCRIPTION_ID with ARM_USE_OIDC=true or "
    "ARM_CLIENT_SECRET, or ARM_USE_MSI=true with ARM_SUBSCRIPTION_ID"
)

# The resource providers of what a stack declares, keyed by azure-native's modules.
# Source: https://learn.microsoft.com/azure/azure-resource-manager/management/azure-services-resource-providers
NAMESPACES = {
    "applicationinsights": "Microsoft.Insights",
    "authorization": "Microsoft.Authorization",
    "compute": "Microsoft.Compute",
    "consumption": "Microsoft.Consumption",
    "containerregistry": "Microsoft.ContainerRegistry",
    "containerservice": "Microsoft.ContainerService",
    "cosmosdb": "Microsoft.DocumentDB",
    "dbforpostgresql": "Microsoft.DBforPostgreSQL",
    "keyvault": "Microsoft.KeyVault",
    "machinelearningservices": "Microsoft.MachineLearningServices",
    "managedidentity": "Microsoft.ManagedIdentity",
    "monitor": "Microsoft.Insights",
    "network": "Microsoft.Network",
    "operationalinsights": "Microsoft.OperationalInsights",
    "privatedns": "Microsoft.Network",
    "resources": "Microsoft.Resources",
    "storage": "Microsoft.Storage",
}
_ADDON_NAMESPACE = "Microsoft.PolicyInsights"
# Features of a subscription that node pools use (encryption of the nodes' disks on the host, nodes without an SSH
# service), and whether each is a preview.
# Source: https://learn.microsoft.com/azure/aks/enable-host-encryption and
# https://learn.microsoft.com/azure/aks/manage-ssh-node-access
_FEATURES = (
    ("Microsoft.Compute", "EncryptionAtHost", False),
    ("Microsoft.ContainerService", "DisableSSHPreview", True),
)
# A region's quota of public addresses, of which a stack needs one; its name has changed.
# Sources: https://github.com/Azure/azure-cli-extensions/blob/main/src/quota/README.md and
# https://www.skills.sh/microsoft/azure-skills/azure-quotas
_ADDRESS_QUOTA = r"(IPv4)?StandardSkuPublicIpAddresses"
_NETWORK_VERSION = "2024-05-01"
_ASSIGN_ROLES = "Microsoft.Authorization/roleAssignments/write"


def check_programs(programs: Programs) -> Iterator[Finding]:
    """The Azure CLI, unless variables name another way to sign in, and kubelogin."""
    if azure_identity.choose_method(programs.environment) == AZURE_CLI and not programs.find("az"):
        yield missing("az", "`az` is not on PATH, and no variable names another way to sign in", _SIGN_IN)
    if not programs.find("kubelogin"):
        yield missing(
            "kubelogin",
            "`kubelogin` is not on PATH; the kubeconfig calls it for tokens",
            f"install it: {_KUBELOGIN_URL}",
        )


def check(
    settings: Settings, programs: Programs, *, stack: str, is_interactive: bool, for_deployment: bool
) -> Iterator[Finding]:
    """Check the identity, the subscription and kubelogin's sign-in; for a deployment also what the subscription lacks
    for this stack."""
    findings, caller = _find_caller(settings, programs)
    yield from findings
    if program := programs.find("kubelogin"):
        yield _check_kubelogin(program, settings, programs, is_interactive=is_interactive)
    if for_deployment and caller and not list_missing(findings):
        manager = ResourceManager(caller.manager, caller.subscription, caller.token)
        yield from _check_account(manager, settings, Naming(settings, stack).owner_tags)


def _find_caller(settings: Settings, programs: Programs) -> tuple[list[Finding], Caller | None]:
    """The identity that Azure recognizes, with the findings on it."""
    method = azure_identity.choose_method(programs.environment)
    if method == AZURE_CLI and not programs.find("az"):
        return [], None
    absent = azure_identity.list_absent_variables(method, programs.environment)
    if absent:
        text = f"signing in by {method} needs {' and '.join(absent)}"
        return [missing("credentials", text, "set them")], None
    try:
        caller = azure_identity.sign_in(settings.tenant, settings.subscription, programs)
    except SignInError as error:
        return [missing("credentials", f"signing in by {method} fails: {error}", _SIGN_IN)], None
    found = ok("credentials", f"{caller.name} of tenant {caller.tenant}, by {method}")
    return [found, *_check_subscription(settings, caller, programs.environment)], caller


def _check_account(manager: ResourceManager, settings: Settings, own: Mapping[str, str]) -> Iterator[Finding]:
    """Check what a subscription may lack: providers, features, rights, sizes and databases in the region, and quotas.

    own  the tags of resources that the stack already has
    """
    checks: Mapping[str, Callable[[ResourceManager, Settings], Iterator[Finding]]] = {
        "providers": _check_providers,
        "features": _check_features,
        "rights": _check_rights,
        "quota": _check_nodes,
        "addresses": partial(_check_addresses, own=own),
        "database": partial(azure_databases.check_server, own=own),
        "experiments": partial(azure_databases.check_account, own=own),
    }
    for subject, check_subject in checks.items():
        try:
            yield from check_subject(manager, settings)
        except ManagerError as error:
            yield note(subject, f"could not be looked up: {error}")


def _check_subscription(settings: Settings, caller: Caller, environment: Mapping[str, str]) -> Iterator[Finding]:
    if settings.tenant and settings.tenant != caller.tenant:
        yield missing(
            "tenant",
            f"the credentials belong to tenant {caller.tenant}, but groundwork:tenant is {settings.tenant}",
            "sign in to that tenant, or correct the setting",
        )
    named = environment.get("ARM_SUBSCRIPTION_ID", "")
    if settings.subscription and named and named != settings.subscription:
        yield missing(
            "subscription",
            f"ARM_SUBSCRIPTION_ID is {named}, but groundwork:subscription is {settings.subscription}",
            "unset the variable, or correct the setting",
        )
        return
    if not caller.subscription:
        yield missing(
            "subscription",
            "no subscription is set",
            "set ARM_SUBSCRIPTION_ID, or the setting groundwork:subscription",
        )
        return
    try:
        found = ResourceManager(caller.manager, caller.subscription, caller.token).get("", "2022-12-01")
    except ManagerError as error:
        yield missing(
            "subscription",
            f"{caller.subscription} cannot be read: {error}",
            "grant the identity Owner on the subscription, or set another one",
        )
        return
    text = f"{found['displayName']} ({caller.subscription})"
    if found["state"] != "Enabled":
        yield missing("subscription", f"{text} is {found['state']}", "enable it, or set another one")
    else:
        yield ok("subscription", f"{text}{'' if settings.subscription else ', which no setting requires'}")


def _check_kubelogin(program: str, settings: Settings, programs: Programs, *, is_interactive: bool) -> Finding:
    """Have kubelogin get a token, as the kubeconfig does."""
    login = programs.environment.get("AAD_LOGIN_METHOD") or settings.cluster.login
    if login == "devicecode":
        if is_interactive:
            return ok("kubelogin", f"{program}, which will ask for a device code")
        return missing(
            "kubelogin",
            "it signs in by device code (`devicecode`), but there is no terminal to show the code on",
            "set cluster.login, or the variable AAD_LOGIN_METHOD, to azurecli, workloadidentity, msi or spn",
        )
    tenant = settings.tenant or programs.environment.get("ARM_TENANT_ID", "")
    options = {"--server-id": AKS_SERVER, "--environment": "AzurePublicCloud"}
    arguments = list_token_arguments(settings.cluster.login, {**options, **({"--tenant-id": tenant} if tenant else {})})
    answer = programs.ask("kubelogin", *arguments)
    if answer.code == 0:
        return ok("kubelogin", f"{program}, by {login}")
    return missing(
        "kubelogin",
        f"signing in to the Kubernetes API by {login} fails: {answer.reason}",
        "provide what this login needs, or set another one (cluster.login; docs/deploying.md says what each needs)",
    )


def list_namespaces() -> list[str]:
    """The resource providers that must be registered in a subscription."""
    return sorted({*NAMESPACES.values(), _ADDON_NAMESPACE})


def _check_providers(manager: ResourceManager, settings: Settings) -> Iterator[Finding]:  # noqa: ARG001
    answer = manager.get("/providers", "2021-04-01", **{"$select": "namespace,registrationState"})
    registered = {
        provider["namespace"].lower() for provider in answer["value"] if provider["registrationState"] == "Registered"
    }
    wanted = list_namespaces()
    absent = [namespace for namespace in wanted if namespace.lower() not in registered]
    if absent:
        commands = "; ".join(f"az provider register --wait --namespace {namespace}" for namespace in absent)
        yield missing("providers", f"not registered in the subscription: {', '.join(absent)}", f"run `{commands}`")
    else:
        yield ok("providers", f"{len(wanted)} resource providers are registered")


def _check_features(manager: ResourceManager, settings: Settings) -> Iterator[Finding]:  # noqa: ARG001
    for namespace, name, is_preview in _FEATURES:
        path = f"/providers/Microsoft.Features/providers/{namespace}/features/{name}"
        try:
            state = manager.get(path, "2021-07-01")["properties"]["state"]
        except ManagerError:
            if is_preview:
                continue  # the feature has become part of the service
            raise
        if state == "Registered":
            yield ok("features", f"{namespace}/{name} is registered")
            continue
        text = f"{namespace}/{name} is {state}"
        remedy = (
            f"run `az feature register --namespace {namespace} --name {name}`, wait until `az feature show` says "
            f"Registered, then `az provider register --namespace {namespace}`"
        )
        yield (
            note("features", f"{text}, which AKS may require", remedy)
            if is_preview
            else missing("features", f"{text}, and nodes need it", remedy)
        )


def _check_rights(manager: ResourceManager, settings: Settings) -> Iterator[Finding]:  # noqa: ARG001
    permissions = manager.get("/providers/Microsoft.Authorization/permissions", "2022-04-01")["value"]
    if any(_allows(permission, _ASSIGN_ROLES) for permission in permissions):
        yield ok("rights", "roles may be assigned")
    else:
        yield missing(
            "rights",
            f"the identity may not assign roles ({_ASSIGN_ROLES}), which every workload needs",
            "grant it Owner on the subscription, or Contributor with Role Based Access Control Administrator",
        )


def _allows(permission: Mapping[str, Any], action: str) -> bool:
    def matches(key: str) -> bool:
        return any(fnmatch(action.lower(), pattern.lower()) for pattern in permission.get(key) or ())

    return matches("actions") and not matches("notActions")


def _check_nodes(manager: ResourceManager, settings: Settings) -> Iterator[Finding]:
    """Check the node sizes in the region and its zones, and the quotas of cores, per family and in total."""
    location = settings.location
    answer = manager.get("/providers/Microsoft.Compute/skus", "2021-07-01", **{"$filter": f"location eq '{location}'"})
    offers = {item["name"]: item for item in answer["value"] if item["resourceType"] == "virtualMachines"}
    pools = settings.cluster.list_pools()
    least, most = Counter[str](), Counter[str]()
    for name, pool in pools.items():
        problem = _find_size_problem(offers.get(pool.size))
        if problem:
            yield missing(
                "node size", f"cluster.{name}.size {pool.size} {problem} in {location}", "choose another size or region"
            )
            continue
        offer = offers[pool.size]
        cores = next(int(item["value"]) for item in offer["capabilities"] if item["name"] == "vCPUs")
        for quota in (offer["family"], "cores"):
            least[quota] += pool.minimum * cores
            most[quota] += pool.maximum * cores
    usages = manager.get(f"/providers/Microsoft.Compute/locations/{location}/usages", "2024-07-01")["value"]
    for usage in usages:
        if usage["name"]["value"] in least:
            yield _check_quota(usage, least[usage["name"]["value"]], most[usage["name"]["value"]])


def _find_size_problem(offer: Mapping[str, Any] | None) -> str:
    """Why a size cannot be used in three zones; empty if it can."""
    if offer is None:
        return "is not offered"
    if any(restriction["type"] == "Location" for restriction in offer.get("restrictions", ())):
        return "is not available to this subscription"
    zones = {zone for info in offer["locationInfo"] for zone in info.get("zones", ())}
    for restriction in offer.get("restrictions", ()):
        zones -= set(restriction.get("restrictionInfo", {}).get("zones", ()))
    return "" if len(zones) >= 3 else f"is offered in {len(zones)} of three zones"


def _check_quota(usage: Mapping[str, Any], least: int, most: int) -> Finding:
    name, limit, current = (
        usage["name"].get("localizedValue", usage["name"]["value"]),
        usage["limit"],
        usage["currentValue"],
    )
    text = f"{name}: {limit} with {current} in use; the node pools need {least} to {most}"
    if limit >= current + most:
        return ok("quota", text)
    remedy = "request an increase in the portal: Subscriptions, Usage + quotas"
    return missing("quota", text, remedy) if limit < least else note("quota", text, remedy)


def _check_addresses(manager: ResourceManager, settings: Settings, own: Mapping[str, str]) -> Iterator[Finding]:
    """Check the quota of public addresses in the region. `own` are the tags of addresses that the stack already has."""
    location = settings.location
    usages = manager.get(f"/providers/Microsoft.Network/locations/{location}/usages", _NETWORK_VERSION)["value"]
    for usage in usages:
        if re.fullmatch(_ADDRESS_QUOTA, usage["name"]["value"], re.IGNORECASE):
            addresses = manager.get("/providers/Microsoft.Network/publicIPAddresses", _NETWORK_VERSION)["value"]
            here = [each for each in addresses if each["location"] == location]
            yield _check_room(usage, sum(has_tags(each, own) for each in here))


def _check_room(usage: Mapping[str, Any], own: int) -> Finding:
    """Check that a quota of the region leaves room for one more; `own` is how many the stack already has."""
    name = usage["name"].get("localizedValue", usage["name"]["value"])
    others, limit = usage["currentValue"] - own, usage["limit"]
    text = f"{name}: the stack needs 1, others have {others}, and the quota is {limit}"
    if others < limit:
        return ok("addresses", text)
    remedy = "request an increase in the portal (Subscriptions, Usage + quotas), or release unused ones"
    return missing("addresses", text, remedy)
