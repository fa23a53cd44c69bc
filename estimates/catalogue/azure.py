"""What resources of Azure are charged for. Each function names the page that says so."""

from __future__ import annotations

from estimates.charges import CATALOGUE, DAYS, HOURS, Charge, Charges, Stack, hourly, monthly, volume
from estimates.resources import Resource

_ENDPOINT, _VAULT = "azure-native:network:PrivateEndpoint", "azure-native:keyvault:Vault"
_MILLION_IN_10K = 100
# Disks are sold by size. Source: https://learn.microsoft.com/azure/virtual-machines/disks-types
_DISK_SIZES = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32767)
# The size of a node's disk that AKS chooses, keyed by its processors; without a local disk it is a Premium SSD.
# Source: https://learn.microsoft.com/azure/aks/concepts-storage (default OS disk sizing)
_NODE_DISKS = ((7, 128), (15, 256), (63, 512), (10_000, 1024))
_FREE_LOG_DAYS = 31  # https://azure.microsoft.com/pricing/details/monitor/
_LEAST_AUTOSCALED = 0.1  # of the maximum, https://learn.microsoft.com/azure/cosmos-db/provision-throughput-autoscale
_WRITE_UNITS = (
    5  # request units of a write of 1 KB, a read has one: https://learn.microsoft.com/azure/cosmos-db/request-units
)
# Of a managed network: to the workspace, to its store's blobs and files, to its vault and its registry.
_OWN_ENDPOINTS = 5
_TABLES = "azure-native:cosmosdb:SqlResourceSqlContainer"


def round_up_disk(gigabytes: float) -> int:
    """The smallest size on sale with at least so many GiB. Raises ValueError if there is none."""
    for size in _DISK_SIZES:
        if gigabytes <= size:
            return size
    raise ValueError(f"Azure sells no managed disk of {gigabytes:g} GiB; the largest has {_DISK_SIZES[-1]}.")


@CATALOGUE.charges_for("azure-native:containerservice:ManagedCluster")
def _charge_cluster(cluster: Resource, stack: Stack) -> Charges:
    """https://azure.microsoft.com/pricing/details/kubernetes-service/"""
    tier = str(cluster.get("sku.tier", "Free")).lower()
    if tier != "free":
        yield hourly("control plane", f"kubernetes/{tier}")
    for profile in cluster.get("agentPoolProfiles") or ():
        yield from _charge_nodes(Resource(cluster.urn, cluster.type, profile), stack)


@CATALOGUE.charges_for("azure-native:containerservice:AgentPool")
def _charge_nodes(pool: Resource, stack: Stack) -> Charges:
    """The minimum of nodes, which an idle stack has, and their disks, which stay while nodes are stopped.

    https://azure.microsoft.com/pricing/details/virtual-machines/linux/
    """
    nodes = float(pool.get("minCount" if pool.get("enableAutoScaling") else "count", 0))
    size = str(pool.get("vmSize", "unknown"))
    if not nodes:
        return
    yield hourly(
        f"nodes of {pool.get('agentPoolName', pool.get('name'))}", f"node/{size}", stack.usage["nodeHours"], nodes
    )
    if pool.get("osDiskType", "Managed") == "Managed":
        disk = round_up_disk(float(pool.get("osDiskSizeGB") or _default_node_disk(size)))
        yield Charge("node disks", f"disk/premium/{disk}", nodes, f"{nodes:g} of {disk} GiB")


def _default_node_disk(size: str) -> int:
    """GiB of a node's disk. A size such as Standard_D4s_v5 has its number of processors, 4, in its name."""
    digits = "".join(letter if letter.isdigit() else " " for letter in size.partition("_")[2]).split()
    processors = int(digits[0]) if digits else 1
    return next(disk for limit, disk in _NODE_DISKS if processors <= limit)


@CATALOGUE.charges_for("azure-native:dbforpostgresql:Server")
def _charge_database(server: Resource, stack: Stack) -> Charges:
    """A standby costs as much again. https://azure.microsoft.com/pricing/details/postgresql/flexible-server/"""
    servers = 1 if server.get("highAvailability.mode", "Disabled") == "Disabled" else 2
    yield hourly("server", f"database/{server.get('sku.name')}", stack.usage["databaseHours"], servers)
    yield volume("storage", "database-storage", servers * float(server.get("storage.storageSizeGB", 32)))


@CATALOGUE.charges_for("azure-native:storage:StorageAccount")
def _charge_account(account: Resource, stack: Stack) -> Charges:
    """https://azure.microsoft.com/pricing/details/storage/blobs/"""
    sku, operations = account.get("sku.name"), stack.usage["requestsMillion"] * _MILLION_IN_10K
    yield volume("objects", f"objects/{sku}", stack.usage["objectsGb"])
    for what, item in (("writes", "object-writes"), ("reads", "object-reads")):
        yield Charge(what, f"{item}/{sku}", operations, f"{operations:g} x 10,000")


@CATALOGUE.charges_for("azure-native:cosmosdb:DatabaseAccount")
def _charge_table_account(account: Resource, stack: Stack) -> Charges:
    """Storage, backup of 30 days, and without provisioned throughput the requests of all its containers.

    https://azure.microsoft.com/pricing/details/cosmos-db/serverless/
    """
    tables = max(stack.count(_TABLES), 1)
    yield volume("storage", "table-storage", stack.usage["tableGb"] * tables)
    tier = account.get("backupPolicy.continuousModeProperties.tier", "Continuous7Days")
    if tier != "Continuous7Days":  # free
        yield volume("backup", f"table-backup/{tier}", stack.usage["tableGb"] * tables)
    if any(each.get("name") == "EnableServerless" for each in account.get("capabilities") or ()):
        units = stack.usage["tableRequestsMillion"] * (1 + _WRITE_UNITS) * tables
        yield Charge("requests", "table-requests/serverless", units, f"{units:g} million request units")


@CATALOGUE.charges_for("azure-native:cosmosdb:SqlResourceSqlDatabase", _TABLES)
def _charge_throughput(database: Resource, _: Stack) -> Charges:
    """At the least throughput that it scales to, as in an idle stack. https://azure.microsoft.com/pricing/details/cosmos-db/autoscale-provisioned/"""
    maximum = float(database.get("options.autoscaleSettings.maxThroughput", 0))
    fixed = float(database.get("options.throughput", 0))
    if maximum:
        yield hourly("throughput", "table-throughput/autoscale", count=maximum * _LEAST_AUTOSCALED / 100)
    elif fixed:
        yield hourly("throughput", "table-throughput/provisioned", count=fixed / 100)


@CATALOGUE.charges_for("azure-native:network:NatGateway")
def _charge_nat_gateway(_: Resource, stack: Stack) -> Charges:
    """https://azure.microsoft.com/pricing/details/azure-nat-gateway/"""
    yield hourly("gateway", "nat-gateway")
    yield volume("data", "nat-gateway-data", stack.share("networkGb", "azure-native:network:NatGateway"))


@CATALOGUE.charges_for("azure-native:network:PublicIPAddress")
def _charge_address(_: Resource, __: Stack) -> Charges:
    """https://azure.microsoft.com/pricing/details/ip-addresses/"""
    yield hourly("address", "public-address")


@CATALOGUE.charges_for(_ENDPOINT)
def _charge_endpoint(_: Resource, stack: Stack) -> Charges:
    """https://azure.microsoft.com/pricing/details/private-link/"""
    yield hourly("endpoint", "private-endpoint")
    yield volume("data", "private-endpoint-data", stack.share("networkGb", _ENDPOINT))


@CATALOGUE.charges_for("azure-native:privatedns:PrivateZone")
def _charge_zone(_: Resource, __: Stack) -> Charges:
    """https://azure.microsoft.com/pricing/details/dns/"""
    yield monthly("zone", "private-zone")


@CATALOGUE.charges_for("azure-native:containerregistry:Registry")
def _charge_registry(registry: Resource, _: Stack) -> Charges:
    """Premium includes 500 GB of images. https://azure.microsoft.com/pricing/details/container-registry/"""
    yield Charge("registry", f"registry/{registry.get('sku.name')}", DAYS, f"{DAYS:.1f} days")


@CATALOGUE.charges_for(_VAULT)
def _charge_vault(_: Resource, stack: Stack) -> Charges:
    """Charged per operation, including those with keys. https://azure.microsoft.com/pricing/details/key-vault/"""
    operations = stack.share("requestsMillion", _VAULT) * _MILLION_IN_10K
    yield Charge("operations", "vault-operations", operations, f"{operations:g} x 10,000")


@CATALOGUE.charges_for("azure-native:operationalinsights:Workspace")
def _charge_logs(workspace: Resource, stack: Stack) -> Charges:
    """Everything that is sent to it; the first 31 days are included. https://azure.microsoft.com/pricing/details/monitor/"""
    ingested = stack.usage["logsGb"]
    yield volume("ingestion", "logs-ingestion", ingested)
    longer = max(float(workspace.get("retentionInDays", 30)) - _FREE_LOG_DAYS, 0)
    if longer:
        yield volume("retention", "logs-retention", ingested * longer / 30)


@CATALOGUE.charges_for("azure-native:monitor:MetricAlert")
def _charge_metric_alert(alert: Resource, _: Stack) -> Charges:
    """https://azure.microsoft.com/pricing/details/monitor/"""
    yield monthly("metrics", "metric-alert", len(alert.get("criteria.allOf") or [""]))


@CATALOGUE.charges_for("azure-native:monitor:ScheduledQueryRule")
def _charge_log_alert(rule: Resource, _: Stack) -> Charges:
    """https://azure.microsoft.com/pricing/details/monitor/"""
    yield monthly("rule", f"log-alert/{rule.get('evaluationFrequency', 'PT5M')}")


@CATALOGUE.charges_for("azure-native:network:FlowLog")
def _charge_flow_log(_: Resource, stack: Stack) -> Charges:
    """https://azure.microsoft.com/pricing/details/network-watcher/"""
    yield volume("logs", "flow-logs", stack.usage["flowLogsGb"])


@CATALOGUE.charges_for("azure-native:machinelearningservices:Workspace")
def _charge_managed_network(workspace: Resource, _: Stack) -> Charges:
    """Private endpoints of the managed network, and its firewall, which exists if there are rules for hosts.

    https://learn.microsoft.com/azure/machine-learning/how-to-managed-network#pricing
    """
    if workspace.get("managedNetwork.isolationMode", "Disabled") == "Disabled":
        return
    kinds = [rule.get("type") for rule in (workspace.get("managedNetwork.outboundRules") or {}).values()]
    yield hourly("endpoints", "private-endpoint", count=_OWN_ENDPOINTS + kinds.count("PrivateEndpoint"))
    if "FQDN" in kinds:
        yield hourly("firewall", f"firewall/{workspace.get('managedNetwork.firewallSku', 'Standard')}")


@CATALOGUE.charges_for("azure-native:machinelearningservices:Compute")
def _charge_training(compute: Resource, stack: Stack) -> Charges:
    """Idle nodes, and hours of training; low priority costs less, but has no listed price.

    https://azure.microsoft.com/pricing/details/machine-learning/
    """
    settings = "properties.properties."
    idle = float(compute.get(f"{settings}scaleSettings.minNodeCount", 0)) * HOURS
    yield hourly("nodes", f"node/{compute.get(f'{settings}vmSize')}", idle + stack.usage["trainingHours"])


@CATALOGUE.charges_for("azure-native:network:VirtualNetworkPeering")
def _charge_peering(_: Resource, stack: Stack) -> Charges:
    """In both directions. https://azure.microsoft.com/pricing/details/virtual-network/"""
    yield volume("data", "peering-data", 2 * stack.usage["networkGb"])
