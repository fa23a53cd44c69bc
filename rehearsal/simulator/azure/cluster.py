"""AKS: the cluster."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.regional_offers import AKS_API_IN_NETWORK
from kernel.support_calendars import AKS
from kernel.values import UNKNOWN
from rehearsal.simulator.azure.api_server import (
    build_fqdn,
    build_private_fqdn,
    check_api_subnet,
    refuse_privacy_change,
)
from rehearsal.simulator.azure.arm import arm_model, get_location
from rehearsal.simulator.azure.identity import has_role
from rehearsal.simulator.azure.nodes import (
    CLUSTER_PATH,
    IMMUTABLE_POOL_PROPERTIES,
    POOL_CHANGE_REFUSED,
    check_pool_bounds,
    check_pool_names,
    check_upgrade_settings,
    find_skew_error,
    get_pool_version,
    list_pools,
    require_drainable_nodes,
)
from rehearsal.simulator.core.calendar import note_support, refuse_unsupported
from rehearsal.simulator.core.resource_model import ResourceRequest
from rehearsal.simulator.core.rules import (
    list_objects,
    matches,
    parse_cidr,
    refuse_when,
    require_any,
    unless_unchanged,
)
from rehearsal.simulator.core.transitions import get_change, parse_version, refuse_change_when, stays, step_by_minor
from rehearsal.simulator.core.values import has_unknown

# Long-term support begins when standard support ends; which versions have it is not known here.
_LONG_TERM = "AKSLongTermSupport"
# New clusters have an OIDC issuer since this version. Source: https://learn.microsoft.com/azure/aks/use-oidc-issuer
_ISSUER_SINCE = (1, 34)


def _accepts_long_term_support(request: ResourceRequest) -> bool:
    return request.get("supportPlan") in (_LONG_TERM, UNKNOWN)


def _note_version(request: ResourceRequest) -> str | None:
    if request.get("supportPlan") == _LONG_TERM:
        return request.fill("whether AKS has long-term support for Kubernetes {kubernetesVersion}")
    return note_support("kubernetesVersion", AKS, "Kubernetes")(request)


# Source: https://learn.microsoft.com/azure/aks/use-system-pools
def _lacks_system_pool(request: ResourceRequest) -> bool:
    if has_unknown(request.get("agentPoolProfiles")):
        return False
    return not any(pool.get("mode") in ("System", UNKNOWN) for pool in list_objects(request, "agentPoolProfiles"))


# Sources: https://learn.microsoft.com/azure/aks/use-byo-cni and, for pods,
# https://learn.microsoft.com/azure/aks/concepts-network-azure-cni-overlay
def _check_addresses(request: ResourceRequest) -> str | None:
    services = parse_cidr(request.get("networkProfile.serviceCidr"))
    pods = parse_cidr(request.get("networkProfile.podCidr"))
    dns = request.get("networkProfile.dnsServiceIP", UNKNOWN)
    if services is None:
        return None
    if dns is not UNKNOWN and ipaddress.IPv4Address(dns) not in services:
        return f"InvalidParameter: DNS service IP {dns} is not in the service CIDR {services}."
    if dns is not UNKNOWN and ipaddress.IPv4Address(dns) == services[1]:
        return f"InvalidParameter: DNS service IP {dns} must not be the first address of the service CIDR {services}."
    if pods is not None and pods.overlaps(services):
        return f"InvalidParameter: The pod CIDR {pods} overlaps the service CIDR {services}."
    return None


# Sources: https://github.com/Azure/azure-cli/issues/20810, for the message too, and, for pods,
# https://learn.microsoft.com/azure/aks/concepts-network-azure-cni-overlay
def _check_subnet_overlap(request: ResourceRequest) -> str | None:
    services = parse_cidr(request.get("networkProfile.serviceCidr"))
    pods = parse_cidr(request.get("networkProfile.podCidr"))
    for pool in list_objects(request, "agentPoolProfiles"):
        network = str(pool.get("vnetSubnetID")).rpartition("/subnets/")[0]
        for subnet in request.state.all("azure-native:network:Subnet"):
            prefix = parse_cidr(subnet.inputs.get("addressPrefix"))
            if prefix is None or not subnet.id.startswith(f"{network}/subnets/"):
                continue
            if services and services.overlaps(prefix):
                return (
                    f"ServiceCidrOverlapExistingSubnetsCidr: The specified service CIDR {services} is conflicted with "
                    f"an existing subnet CIDR {prefix}"
                )
            if pods and pods.overlaps(prefix):
                return f"The pod CIDR {pods} overlaps the subnet CIDR {prefix}."
    return None


# Source: https://learn.microsoft.com/azure/aks/nat-gateway
def _require_nat_gateway(request: ResourceRequest) -> str | None:
    if request.get("networkProfile.outboundType") != "userAssignedNATGateway":
        return None
    for pool in list_objects(request, "agentPoolProfiles"):
        subnet = request.state.find(str(pool.get("vnetSubnetID")))
        if subnet and not subnet.inputs.get("natGateway"):
            return f"Outbound type userAssignedNATGateway needs a NAT gateway on the subnet {subnet.id}."
    return None


def _check_kubelet_identity(request: ResourceRequest) -> str | None:
    kubelet = request.get("identityProfile.kubeletidentity.resourceId")
    identities = request.get("identity.userAssignedIdentities", [])
    if kubelet is None:
        return None
    for id_ in identities:
        control = request.state.find(id_)
        if control and not has_role(
            request.state, control.outputs["principalId"], "Managed Identity Operator", str(kubelet)
        ):
            return (
                "CustomKubeletIdentityMissingPermissionError: The cluster user assigned identity must be given "
                "permission to assign kubelet identity "
                f"{kubelet}. Check access result not allowed for action "
                "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action."
            )
    return None


def _check_kms_permission(request: ResourceRequest) -> str | None:
    vault = request.get("securityProfile.azureKeyVaultKms.keyVaultResourceId")
    if vault is None or request.get("securityProfile.azureKeyVaultKms.enabled") is not True:
        return None
    for id_ in request.get("identity.userAssignedIdentities", []):
        control = request.state.find(id_)
        principal = str(control.outputs["principalId"]) if control else ""
        if control and not has_role(request.state, principal, "Key Vault Crypto User", str(vault)):
            return f"Identity {id_} lacks the permission to encrypt with keys of {vault} (Key Vault Crypto User)."
    return None


def _refuse_pool_changes(request: ResourceRequest) -> str | None:
    change = get_change(request, "agentPoolProfiles")
    if change is None:
        return None
    old = {pool["name"]: pool for pool in change[0] or ()}
    for pool in change[1] or ():
        existing = old.get(pool.get("name"))
        if existing is None:
            return (
                "BadRequest: A new agent pool was introduced. Adding agent pools to an existing cluster is not allowed "
                "through managed cluster operations."
            )
        for path in ("vmSize", *IMMUTABLE_POOL_PROPERTIES):
            if existing.get(path) != pool.get(path):
                return POOL_CHANGE_REFUSED.format(path=path, old=existing.get(path), new=pool.get(path))
    return None


def _build_pool_profiles(request: ResourceRequest) -> list[Mapping[str, Any]]:
    version = request.get("kubernetesVersion")
    return [
        {**pool, "currentOrchestratorVersion": get_pool_version(request, pool, version)} for pool in list_pools(request)
    ]


def _require_drainable_pools(request: ResourceRequest) -> str | None:
    known = request.previous.outputs.get("agentPoolProfiles", ()) if request.previous else ()
    before = {pool["name"]: pool.get("currentOrchestratorVersion") for pool in known}
    for pool in _build_pool_profiles(request):
        if before.get(pool["name"]) not in (None, pool["currentOrchestratorVersion"]):
            error = require_drainable_nodes(request, pool["name"])
            if error:
                return error
    return None


def _check_skew(request: ResourceRequest) -> str | None:
    """Every pool's version must fit the cluster's, including pools that are separate resources."""
    version = request.get("kubernetesVersion")
    of_profiles = (pool["currentOrchestratorVersion"] for pool in _build_pool_profiles(request))
    prefix = f"{request.id}/agentPools/".lower()
    of_pools = (
        pool.outputs.get("currentOrchestratorVersion")
        for pool in request.state.all("azure-native:containerservice:AgentPool")
        if request.id and pool.id.lower().startswith(prefix)
    )
    return next(filter(None, (find_skew_error(pool, version) for pool in (*of_profiles, *of_pools))), None)


def _build_version(request: ResourceRequest) -> str:
    """The version with its patch number."""
    numbers = (*parse_version(request.get("kubernetesVersion")), 0, 0, 0)
    return ".".join(map(str, numbers[:3]))


def _has_issuer(request: ResourceRequest) -> bool:
    """Whether a cluster has an OIDC issuer: new clusters do since Kubernetes 1.34; an upgrade does not add one."""
    is_enabled = request.get("oidcIssuerProfile.enabled")
    if is_enabled is not None:
        return bool(is_enabled)
    if request.previous is not None:
        return bool(look_up(request.previous.outputs, "oidcIssuerProfile.enabled", False))
    version = request.get("kubernetesVersion")
    return version is UNKNOWN or parse_version(version)[:2] >= _ISSUER_SINCE


def _build_issuer_profile(request: ResourceRequest) -> Mapping[str, Any]:
    host = f"{get_location(request)}.oic.prod-aks.azure.com"
    url = f"https://{host}/{request.account['tenantId']}/{request.uuid('issuer')}/"
    return {"enabled": _has_issuer(request), "issuerURL": url}


MODELS = (
    arm_model(
        "containerservice:ManagedCluster",
        CLUSTER_PATH,
        located=True,
        identity=True,
        outputs={
            "agentPoolProfiles": _build_pool_profiles,
            "currentKubernetesVersion": _build_version,
            "fqdn": build_fqdn,
            "privateFQDN": build_private_fqdn,
            "oidcIssuerProfile": _build_issuer_profile,
            "provisioningState": "Succeeded",
        },
        # Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
        replace_on_changes=(
            "diskEncryptionSetID",
            "dnsPrefix",
            "fqdnSubdomain",
            "linuxProfile",
            "networkProfile.dnsServiceIP",
            "networkProfile.ipFamilies",
            "networkProfile.networkDataplane",
            "networkProfile.networkMode",
            "networkProfile.networkPlugin",
            "networkProfile.networkPluginMode",
            "networkProfile.networkPolicy",
            "networkProfile.outboundType",
            "networkProfile.podCidr",
            "networkProfile.podCidrs",
            "networkProfile.serviceCidr",
            "networkProfile.serviceCidrs",
            "nodeResourceGroup",
            "windowsProfile",
        ),
        transitions=(
            step_by_minor(
                "kubernetesVersion",
                "OperationNotAllowed: Downgrading Kubernetes version from {old} to {new} is not allowed.",
                "OperationNotAllowed: Upgrading Kubernetes version {old} to {new} is not allowed. Upgrade one minor "
                "version at a time.",
            ),
            _refuse_pool_changes,
            refuse_privacy_change,
            # Documented at https://learn.microsoft.com/azure/aks/use-oidc-issuer
            stays(
                "oidcIssuerProfile.enabled", True, "OIDCIssuerFeatureCannotBeDisabled: OIDC issuer cannot be disabled."
            ),
            # Documented at https://learn.microsoft.com/azure/aks/enable-authentication-microsoft-entra-id
            refuse_change_when(
                "aadProfile",
                lambda old, new: bool(old) and not new,
                "BadRequest: Entra integration of a cluster cannot be disabled.",
            ),
        ),
        rules=(
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftcontainerservice
            matches(
                "resourceName",
                r"[A-Za-z0-9]([\w-]{0,61}[A-Za-z0-9])?",
                "InvalidResourceName: The cluster's name '{value}' must be 1 to 63 letters, digits, '-' or '_'.",
            ),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/website/docs/r/kubernetes_cluster.html.markdown
            matches(
                "dnsPrefix",
                r"[A-Za-z0-9]([A-Za-z0-9-]{0,52}[A-Za-z0-9])?",
                "InvalidParameter: The DNS prefix '{value}' must be 1 to 54 letters, digits or '-'.",
            ),
            unless_unchanged(
                "kubernetesVersion",
                refuse_unsupported(
                    "kubernetesVersion",
                    AKS,
                    "K8sVersionNotSupported: Managed cluster is on version {value}, which is not supported in this "
                    "region, or only available for Long-Term Support (LTS). If you intend to onboard to LTS, please "
                    "ensure the cluster is in Premium tier and LTS support plan. Otherwise, use [az aks get-versions] "
                    "command to get the supported version list in this region.",
                    _accepts_long_term_support,
                ),
            ),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/website/docs/r/kubernetes_cluster.html.markdown
            require_any(
                ["dnsPrefix", "fqdnSubdomain"],
                "InvalidParameter: Required parameter properties.dnsPrefix is missing (null).",
            ),
            check_pool_names,
            check_pool_bounds,
            check_upgrade_settings,
            refuse_when(
                _lacks_system_pool, "InvalidParameter: Managed cluster {resourceName} must have a system agent pool."
            ),
            _check_addresses,
            # Source: https://learn.microsoft.com/rest/api/aks/managed-clusters/create-or-update
            refuse_when(
                lambda request: request.get("disableLocalAccounts") is True and request.get("aadProfile") is None,
                "BadRequest: Disabling local accounts is only allowed where Entra integration is enabled.",
            ),
            # Source: https://learn.microsoft.com/azure/aks/workload-identity-overview
            refuse_when(
                lambda request: (
                    request.get("securityProfile.workloadIdentity.enabled") is True and not _has_issuer(request)
                ),
                "InvalidParameter: Workload identity needs the OIDC issuer enabled.",
            ),
            # Source: https://learn.microsoft.com/azure/aks/api-server-authorized-ip-ranges
            refuse_when(
                lambda request: (
                    request.get("apiServerAccessProfile.enablePrivateCluster") is True
                    and request.get("apiServerAccessProfile.authorizedIPRanges", []) not in ([], UNKNOWN)
                ),
                "BadRequest: Private cluster cannot be enabled with AuthorizedIPRanges.",
            ),
            # The message is not Azure's own.
            refuse_when(
                lambda request: (
                    request.get("apiServerAccessProfile.enableVnetIntegration") is True
                    and get_location(request) in AKS_API_IN_NETWORK.missing_in
                ),
                "BadRequest: API Server VNet Integration is not available in region {location}.",
            ),
            # Source: https://github.com/AdminTurnedDevOps/DevOps-The-Hard-Way-Azure/issues/1
            refuse_when(
                lambda request: (
                    request.get("networkProfile.networkPolicy") == "cilium"
                    and request.get("networkProfile.networkDataplane") not in ("cilium", UNKNOWN)
                ),
                "NetworkPolicyNotSupported: Network Policy cilium requires NetworkDataplane cilium",
            ),
            # Source: https://learn.microsoft.com/azure/aks/use-kms-etcd-encryption
            refuse_when(
                lambda request: (
                    request.get("securityProfile.azureKeyVaultKms.keyVaultNetworkAccess") == "Private"
                    and request.get("apiServerAccessProfile.enableVnetIntegration") in (None, False)
                ),
                "InvalidParameter: A private key vault for KMS needs API server VNet integration.",
            ),
            # The message is not Azure's own. Source:
            # https://github.com/Azure/azure-cli/blob/dev/src/azure-cli/azure/cli/command_modules/acs/_validators.py
            matches(
                "securityProfile.azureKeyVaultKms.keyId",
                r"https://[^/]+/keys/[^/]+/[^/]+",
                "InvalidParameter: The key ID '{value}' of KMS must include the key's version.",
            ),
        ),
        state_rules=(
            _check_subnet_overlap,
            _require_nat_gateway,
            check_api_subnet,
            _check_kubelet_identity,
            _check_kms_permission,
            _check_skew,
            _require_drainable_pools,
        ),
        notes=(_note_version,),
    ),
)
