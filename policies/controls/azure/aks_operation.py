"""Azure Kubernetes Service: add-ons, encryption, outbound traffic and other operation of a cluster."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.support_calendars import AKS
from kernel.values import UNKNOWN
from policies.controls.cluster_versions import expect_supported
from policies.controls.tags import EXEMPT, is_exempt
from policies.engine.expectations import IS_FALSE, IS_TRUE, expect, expect_set, none_of, one_of
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, expect_companion, of_type

CLUSTER = ("azure-native:containerservice:ManagedCluster",)
MAINTENANCE = "azure-native:containerservice:MaintenanceConfiguration"
# Which configuration says when a channel's upgrades are installed.
_SCHEDULES = {
    "upgradeChannel": "aksManagedAutoUpgradeSchedule",
    "nodeOSUpgradeChannel": "aksManagedNodeOSUpgradeSchedule",
}
# Without upgrades by AKS: with `Unmanaged`, the operating system installs its own.
_OFF = ("none", "unmanaged")


def _addon(props: Props, name: str) -> str:
    """The path of an add-on. AKS ignores the case of its name."""
    addons = look_up(props, "addonProfiles")
    written = addons if isinstance(addons, Mapping) else {}
    return f"addonProfiles.{next((key for key in written if str(key).lower() == name.lower()), name)}"


@control(
    "azure-aks-version",
    title="AKS clusters run a supported version of Kubernetes",
    severity="high",
    types=CLUSTER,
    remedy="raise kubernetesVersion, one minor version at a time",
)
def version(props: Props) -> Findings:
    yield from expect_supported(props, "kubernetesVersion", AKS)


@control(
    "azure-aks-dashboard",
    title="AKS clusters have no dashboard add-on",
    severity="high",
    types=CLUSTER,
    remedy="leave addonProfiles.kubeDashboard unset or set enabled to false",
)
def dashboard(props: Props) -> Findings:
    path = f"{_addon(props, 'kubeDashboard')}.enabled"
    yield from expect(props, path, IS_FALSE, "an unmaintained web application can read the cluster", absent_passes=True)


@control(
    "azure-aks-run-command",
    title="Nobody runs commands in AKS clusters through Azure's API",
    severity="medium",
    types=CLUSTER,
    remedy="set apiServerAccessProfile.disableRunCommand to true",
    references=("AzPolicy:disable-command-invoke",),
)
def run_command(props: Props) -> Findings:
    path = "apiServerAccessProfile.disableRunCommand"
    yield from expect(props, path, IS_TRUE, "Azure roles run commands in a cluster whose API server is private")


@control(
    "azure-aks-secrets-encryption",
    title="AKS encrypts Kubernetes secrets with a key in Key Vault",
    severity="medium",
    types=CLUSTER,
    remedy="set securityProfile.azureKeyVaultKms.enabled to true, with keyId",
    references=("AzPolicy:enable-KMS", "CIS-AKS 5.3.1"),
)
def secrets_encryption(props: Props) -> Findings:
    path = "securityProfile.azureKeyVaultKms.enabled"
    yield from expect(props, path, IS_TRUE, "everyone who can read etcd can read the secrets")


@control(
    "azure-aks-disk-encryption",
    title="AKS encrypts the disks of nodes with a customer-managed key",
    severity="medium",
    types=CLUSTER,
    remedy="set diskEncryptionSetID; it cannot be changed later",
    references=("CKV_AZURE_117", "AZU-0067", "AzPolicy:OS-and-data-disks-CMK"),
)
def disk_encryption(props: Props) -> Findings:
    yield from expect_set(props, "diskEncryptionSetID", "disks are not encrypted with a key of the subscription")


@control(
    "azure-aks-defender",
    title="Defender monitors AKS clusters",
    severity="medium",
    types=CLUSTER,
    remedy="set securityProfile.defender.securityMonitoring.enabled to true, with logAnalyticsWorkspaceResourceId",
    references=("AzPolicy:defender-profile", "prowler:aks_cluster_defender_enabled"),
)
def defender(props: Props) -> Findings:
    path = "securityProfile.defender.securityMonitoring.enabled"
    yield from expect(props, path, IS_TRUE, "attacks on nodes and pods remain unnoticed")


@control(
    "azure-aks-monitoring",
    title="Azure Monitor collects logs and metrics of AKS clusters",
    severity="medium",
    types=CLUSTER,
    remedy="set addonProfiles.omsagent.enabled to true",
    references=("CKV_AZURE_4", "AZU-0040", "prowler:aks_cluster_azure_monitor_enabled"),
)
def monitoring(props: Props) -> Findings:
    path = f"{_addon(props, 'omsagent')}.enabled"
    yield from expect(props, path, IS_TRUE, "events and the state of nodes are lost with the cluster")


@control(
    "azure-aks-azure-policy",
    title="Azure Policy evaluates the objects in AKS clusters",
    severity="medium",
    types=CLUSTER,
    remedy="set addonProfiles.azurepolicy.enabled to true",
    references=("CKV_AZURE_116", "AZU-0066", "AzPolicy:policy-addon"),
)
def azure_policy(props: Props) -> Findings:
    path = f"{_addon(props, 'azurepolicy')}.enabled"
    yield from expect(props, path, IS_TRUE, "the subscription's policies do not reach the cluster")


@control(
    "azure-aks-http-routing",
    title="AKS clusters have no add-on for HTTP application routing",
    severity="medium",
    types=CLUSTER,
    remedy="leave addonProfiles.httpApplicationRouting unset or set enabled to false, and use a gateway",
    references=("CKV_AZURE_246",),
)
def http_routing(props: Props) -> Findings:
    path = f"{_addon(props, 'httpApplicationRouting')}.enabled"
    risk = "a retired ingress controller gives services public names without TLS"
    yield from expect(props, path, IS_FALSE, risk, absent_passes=True)


@control(
    "azure-aks-secret-rotation",
    title="AKS updates secrets that it mounts from Key Vault when they are rotated",
    severity="medium",
    types=CLUSTER,
    remedy='set addonProfiles.azureKeyvaultSecretsProvider.config.enableSecretRotation to "true"',
)
def secret_rotation(props: Props) -> Findings:
    addon = _addon(props, "azureKeyvaultSecretsProvider")
    enabled = look_up(props, f"{addon}.enabled")
    if enabled is UNKNOWN:
        yield Undecided(f"{addon}.enabled")
    elif enabled is True:
        yield from expect(props, f"{addon}.config.enableSecretRotation", one_of("true"), "pods keep revoked secrets")


@control(
    "azure-aks-outbound",
    title="AKS nodes reach the Internet through a NAT gateway or a firewall",
    severity="medium",
    types=CLUSTER,
    remedy="set networkProfile.outboundType to userAssignedNATGateway, managedNATGateway or userDefinedRouting",
)
def outbound(props: Props) -> Findings:
    # `none` and `block` are for clusters without any outbound traffic.
    accepted = one_of(
        "userAssignedNATGateway", "managedNATGateway", "managedNATGatewayV2", "userDefinedRouting", "none", "block"
    )
    risk = "nodes share the public address and the ports of a load balancer"
    yield from expect(props, "networkProfile.outboundType", accepted, risk)


@control(
    "azure-aks-network-plugin",
    title="AKS clusters use the network plugin Azure CNI",
    severity="low",
    types=CLUSTER,
    remedy="set networkProfile.networkPlugin to azure; kubenet is retired in 2028",
    references=("CKV2_AZURE_29", "AzPolicy:azure-cni", "CIS-AKS 4.4.1"),
)
def network_plugin(props: Props) -> Findings:
    yield from expect(props, "networkProfile.networkPlugin", one_of("azure"), "network policies are limited")


@control(
    "azure-aks-image-cleaner",
    title="AKS deletes unused images from nodes",
    severity="low",
    types=CLUSTER,
    remedy="set securityProfile.imageCleaner.enabled to true",
    references=("AzPolicy:image-cleaner",),
)
def image_cleaner(props: Props) -> Findings:
    path = "securityProfile.imageCleaner.enabled"
    yield from expect(props, path, IS_TRUE, "vulnerable images stay on the nodes")


@control(
    "azure-aks-paid-tier",
    title="AKS clusters have a service level agreement for the control plane",
    severity="low",
    types=CLUSTER,
    remedy="set sku.tier to Standard or Premium",
    references=("CKV_AZURE_170",),
    settings={"exemptEnvironments": EXEMPT},
)
def paid_tier(props: Props, settings: Mapping[str, Any]) -> Findings:
    if is_exempt(props, settings["exemptEnvironments"]):
        return
    accepted = none_of("must be a tier with a service level agreement", "Free")
    yield from expect(props, "sku.tier", accepted, "the availability of the API server is not guaranteed")


@stack_control(
    "azure-aks-maintenance-window",
    title="AKS upgrades clusters and nodes only in a maintenance window",
    severity="medium",
    types=CLUSTER,
    remedy="declare MaintenanceConfigurations named aksManagedAutoUpgradeSchedule and aksManagedNodeOSUpgradeSchedule",
)
def maintenance_window(stack: Stack) -> StackFindings:
    clusters = of_type(stack, *CLUSTER)
    for channel, name in _SCHEDULES.items():
        path = f"autoUpgradeProfile.{channel}"
        chosen = [(cluster, look_up(cluster.props, path, "none")) for cluster in clusters]
        yield from ((cluster, Undecided(path)) for cluster, value in chosen if value is UNKNOWN)
        upgraded = [cluster for cluster, value in chosen if value is not UNKNOWN and str(value).lower() not in _OFF]
        named = [each for each in of_type(stack, MAINTENANCE) if look_up(each.props, "configName") in (name, UNKNOWN)]
        missing = (
            f"the cluster must have a MaintenanceConfiguration for {channel}, otherwise upgrades begin at any time"
        )
        yield from expect_companion(
            upgraded, named, "resourceName", missing, _expect_name, check_alone=lambda _: iter(())
        )


def _expect_name(configuration: Resource) -> Findings:
    if look_up(configuration.props, "configName") is UNKNOWN:
        yield Undecided(f"{configuration.name}.configName")
