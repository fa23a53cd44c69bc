"""AKS and the encryption of its disks."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from rehearsal.simulator.azure.arm import arm, block, items, location
from rehearsal.simulator.azure.identity import has_role
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import ResourceRequest, StateReader, matches, one_of, refuse_when
from rehearsal.simulator.core.values import UNKNOWN

_CLUSTER = "Microsoft.ContainerService/managedClusters/{resourceName}"
# From memory of what was supported when this was written; Azure adds and retires some every few months:
# https://learn.microsoft.com/azure/aks/supported-kubernetes-versions
_VERSIONS = re.compile(r"1\.(31|32|33|34)(\.\d+)?")
_POOL_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
# What an agent pool keeps from its creation on.
_FIXED = ("vmSize", "osType", "vnetSubnetID", "availabilityZones", "maxPods", "enableEncryptionAtHost", "type")


def _pools(request: ResourceRequest) -> Iterator[Mapping[str, Any]]:
    """The pools in a request: those of a cluster, or the one that an agent pool is."""
    if request.type.endswith(":AgentPool"):
        yield {**request.inputs, "name": request.get("agentPoolName")}
    else:
        yield from items(request, "agentPoolProfiles")


def _pool_names(request: ResourceRequest) -> str | None:
    for pool in _pools(request):
        name = pool.get("name", UNKNOWN)
        if name is not UNKNOWN and not _POOL_NAME.fullmatch(str(name)):
            return (
                f"InvalidParameter: The value of parameter agentPoolProfile.name is invalid: '{name}'. It must start "
                "with a lower-case letter, contain only lower-case letters and digits, and have at most 12 characters."
            )
    return None


def _pool_bounds(request: ResourceRequest) -> str | None:
    for pool in _pools(request):
        low, high, count = (pool.get(key) for key in ("minCount", "maxCount", "count"))
        if pool.get("enableAutoScaling") is not True or UNKNOWN in (low, high, count):
            continue
        if low is None or high is None:
            return "InvalidParameter: Min count and max count must be set when autoscaling is enabled."
        if low > high or not low <= (low if count is None else count) <= high:
            return (
                f"InvalidParameter: agent pool {pool.get('name')}: count {count} must lie between min count {low} and "
                f"max count {high}."
            )
    return None


def _has_system_pool(request: ResourceRequest) -> bool:
    pools = request.get("agentPoolProfiles")
    if pools is UNKNOWN:
        return False
    return not any(pool.get("mode") in ("System", UNKNOWN) for pool in items(request, "agentPoolProfiles"))


def _addresses(request: ResourceRequest) -> str | None:
    services, pods = block(request.get("networkProfile.serviceCidr")), block(request.get("networkProfile.podCidr"))
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


def _services_beside_subnets(request: ResourceRequest) -> str | None:
    services, pods = block(request.get("networkProfile.serviceCidr")), block(request.get("networkProfile.podCidr"))
    for pool in items(request, "agentPoolProfiles"):
        home = str(pool.get("vnetSubnetID")).rpartition("/subnets/")[0]
        for subnet in request.state.all("azure-native:network:Subnet"):
            theirs = block(subnet.inputs.get("addressPrefix"))
            if theirs is None or not subnet.id.startswith(f"{home}/subnets/"):
                continue
            if services and services.overlaps(theirs):
                return (
                    f"ServiceCidrOverlapExistingSubnetsCidr: The specified service CIDR {services} is conflicted with "
                    f"an existing subnet CIDR {theirs}."
                )
            if pods and pods.overlaps(theirs):
                return f"The pod CIDR {pods} overlaps the subnet CIDR {theirs}."
    return None


def _subnets_have_gateway(request: ResourceRequest) -> str | None:
    if request.get("networkProfile.outboundType") != "userAssignedNATGateway":
        return None
    for pool in items(request, "agentPoolProfiles"):
        subnet = request.state.find(str(pool.get("vnetSubnetID")))
        if subnet and not subnet.inputs.get("natGateway"):
            return f"Outbound type userAssignedNATGateway needs a NAT gateway on the subnet {subnet.id}."
    return None


def _api_subnet_is_delegated(request: ResourceRequest) -> str | None:
    subnet = request.state.find(str(request.get("apiServerAccessProfile.subnetId")))
    if subnet is None:
        return None
    services = [item["serviceName"] for item in subnet.inputs.get("delegations", ())]
    if "Microsoft.ContainerService/managedClusters" not in services:
        return f"The API server's subnet {subnet.id} is not delegated to Microsoft.ContainerService/managedClusters."
    return None


def _may_use_kubelet_identity(request: ResourceRequest) -> str | None:
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


def _may_use_key(request: ResourceRequest) -> str | None:
    vault = request.get("securityProfile.azureKeyVaultKms.keyVaultResourceId")
    if vault is None or request.get("securityProfile.azureKeyVaultKms.enabled") is not True:
        return None
    for id_ in request.get("identity.userAssignedIdentities", []):
        control = request.state.find(id_)
        principal = str(control.outputs["principalId"]) if control else ""
        if control and not has_role(request.state, principal, "Key Vault Crypto User", str(vault)):
            return f"Identity {id_} lacks the permission to encrypt with keys of {vault} (Key Vault Crypto User)."
    return None


def _keeps_pool_shape(request: ResourceRequest) -> str | None:
    before = request.state.find(request.id) if request.id else None
    if before is None:
        return None
    old = {pool["name"]: pool for pool in before.inputs["agentPoolProfiles"]}
    for pool in _pools(request):
        known = old.get(pool.get("name"))
        if known is None:
            return (
                "BadRequest: A new agent pool was introduced. Adding agent pools to an existing cluster is not allowed "
                "through managed cluster operations."
            )
        changed = next((key for key in _FIXED if known.get(key) != pool.get(key)), None)
        if changed:
            return f"PropertyChangeNotAllowed: Changing property 'properties.{changed}' is not allowed."
    return None


def _system_pool_stays(request: ResourceRequest) -> bool:
    return bool(request.get("mode") == "System" and request.get("minCount", 1) == 0)


def _fqdn(request: ResourceRequest) -> str:
    return f"{request.get('dnsPrefix')}-{request.hex(8)}.hcp.{location(request)}.azmk8s.io"


def _private_fqdn(request: ResourceRequest) -> str | None:
    if request.get("apiServerAccessProfile.enablePrivateCluster") is not True:
        return None
    return (
        f"{request.get('dnsPrefix')}-{request.hex(8)}.{request.uuid('zone')}.privatelink.{location(request)}.azmk8s.io"
    )


def _issuer(request: ResourceRequest) -> Mapping[str, Any]:
    address = (
        f"https://{location(request)}.oic.prod-aks.azure.com/{request.account['tenantId']}/{request.uuid('issuer')}/"
    )
    return {"enabled": request.get("oidcIssuerProfile.enabled", False), "issuerURL": address}


def user_credentials(arguments: Mapping[str, Any], state: StateReader, account: Mapping[str, str]) -> Mapping[str, Any]:
    """A kubeconfig as AKS gives it out where Entra signs people in: no credential, but how to get one."""
    group, name = arguments["resourceGroupName"], arguments["resourceName"]
    id_ = (
        f"/subscriptions/{account['subscriptionId']}/resourceGroups/{group}/providers/"
        f"Microsoft.ContainerService/managedClusters/{name}"
    )
    cluster = state.find(id_)
    if cluster is None:
        raise CloudError(
            f"ResourceNotFound: The Resource 'Microsoft.ContainerService/managedClusters/{name}' under resource group "
            f"'{group}' was not found."
        )
    user = f"clusterUser_{group}_{name}"
    host = cluster.outputs.get("privateFQDN") or cluster.outputs["fqdn"]
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": f"https://{host}:443"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
        "users": [{"name": user, "user": {"exec": _sign_in(account["tenantId"])}}],
    }
    return {
        "kubeconfigs": [
            {"name": "clusterUser", "value": base64.b64encode(yaml.safe_dump(kubeconfig).encode()).decode()}
        ]
    }


def _sign_in(tenant: str) -> Mapping[str, Any]:
    # The two IDs are AKS's own applications in Entra, the same for everybody.
    # Source: https://azure.github.io/kubelogin/concepts/aks.html
    return {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "kubelogin",
        "args": [
            "get-token",
            "--environment",
            "AzurePublicCloud",
            "--server-id",
            "6dae42f8-4368-4678-94ff-3960e28e3630",
            "--client-id",
            "80faf920-1908-4b52-b5ef-a8e7bedfc67a",
            "--tenant-id",
            tenant,
            "--login",
            "devicecode",
        ],
    }


MODELS = (
    arm(
        "compute:DiskEncryptionSet",
        "Microsoft.Compute/diskEncryptionSets/{diskEncryptionSetName}",
        located=True,
        identity=True,
        outputs={"provisioningState": "Succeeded"},
        required=("activeKey.keyUrl",),
        rules=(
            matches(
                "diskEncryptionSetName",
                r"[\w-]{1,80}",
                "InvalidParameter: The name '{value}' of a disk encryption set is invalid.",
            ),
            matches(
                "activeKey.keyUrl",
                r"https://[a-z0-9-]+\.vault\.azure\.net/keys/[^/]+/[0-9a-f]{32}",
                "InvalidParameter: The key URL '{value}' must carry the key's version.",
            ),
        ),
    ),
    arm(
        "containerservice:ManagedCluster",
        _CLUSTER,
        located=True,
        identity=True,
        outputs={
            "currentKubernetesVersion": lambda request: f"{request.get('kubernetesVersion')}.0",
            "fqdn": _fqdn,
            "privateFQDN": _private_fqdn,
            "oidcIssuerProfile": _issuer,
            "provisioningState": "Succeeded",
        },
        required=("agentPoolProfiles", "dnsPrefix"),
        replace_on_changes=(
            "dnsPrefix",
            "nodeResourceGroup",
            "diskEncryptionSetID",
            "networkProfile.dnsServiceIP",
            "networkProfile.networkPlugin",
            "networkProfile.podCidr",
            "networkProfile.serviceCidr",
        ),
        rules=(
            matches(
                "resourceName",
                r"[A-Za-z0-9]([\w-]{0,61}[A-Za-z0-9])?",
                "InvalidResourceName: The cluster's name '{value}' must be 1 to 63 letters, digits, '-' or '_'.",
            ),
            matches(
                "dnsPrefix",
                r"[A-Za-z0-9]([A-Za-z0-9-]{0,52}[A-Za-z0-9])?",
                "InvalidParameter: The DNS prefix '{value}' must be 1 to 54 letters, digits or '-'.",
            ),
            matches(
                "kubernetesVersion",
                _VERSIONS.pattern,
                "K8sVersionNotSupported: Managed cluster is on version {value}, which is not supported in this region. "
                "Please use [az aks get-versions] command to get the supported version list in this region.",
            ),
            _pool_names,
            _pool_bounds,
            refuse_when(
                _has_system_pool, "InvalidParameter: Managed cluster {resourceName} must have a system agent pool."
            ),
            _addresses,
            refuse_when(
                lambda request: request.get("disableLocalAccounts") is True and request.get("aadProfile") is None,
                "BadRequest: Disabling local accounts is only allowed where Entra integration is enabled.",
            ),
            refuse_when(
                lambda request: (
                    request.get("securityProfile.workloadIdentity.enabled") is True
                    and request.get("oidcIssuerProfile.enabled") in (None, False)
                ),
                "InvalidParameter: Workload identity needs the OIDC issuer enabled.",
            ),
            refuse_when(
                lambda request: (
                    request.get("apiServerAccessProfile.enablePrivateCluster") is True
                    and request.get("apiServerAccessProfile.authorizedIPRanges", []) not in ([], UNKNOWN)
                ),
                "BadRequest: Private cluster cannot be enabled with AuthorizedIPRanges.",
            ),
            refuse_when(
                lambda request: (
                    request.get("networkProfile.networkPolicy") == "cilium"
                    and request.get("networkProfile.networkDataplane") not in ("cilium", UNKNOWN)
                ),
                "InvalidParameter: Network policy cilium needs the network dataplane cilium.",
            ),
            refuse_when(
                lambda request: (
                    request.get("securityProfile.azureKeyVaultKms.keyVaultNetworkAccess") == "Private"
                    and request.get("apiServerAccessProfile.enableVnetIntegration") in (None, False)
                ),
                "InvalidParameter: A private key vault for KMS needs API server VNet integration.",
            ),
        ),
        state_rules=(
            _services_beside_subnets,
            _subnets_have_gateway,
            _api_subnet_is_delegated,
            _may_use_kubelet_identity,
            _may_use_key,
            _keeps_pool_shape,
        ),
    ),
    arm(
        "containerservice:AgentPool",
        _CLUSTER + "/agentPools/{agentPoolName}",
        outputs={"provisioningState": "Succeeded"},
        replace_on_changes=_FIXED,
        rules=(
            _pool_names,
            _pool_bounds,
            one_of("mode", ("System", "User"), "InvalidParameter: The agent pool mode '{value}' is not known."),
            refuse_when(_system_pool_stays, "InvalidParameter: A system pool cannot be scaled to 0 nodes."),
        ),
    ),
)
