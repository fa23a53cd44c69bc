"""What resources of AWS are charged for. Each function names the page that says so."""

from __future__ import annotations

from estimates.charges import CATALOGUE, Charge, Charges, Stack, hourly, monthly, volume
from estimates.resources import Resource

_MILLION = 1_000_000
_NAT, _ENDPOINT = "aws:ec2/natGateway:NatGateway", "aws:ec2/vpcEndpoint:VpcEndpoint"
_LOGS, _TEMPLATE = "aws:cloudwatch/logGroup:LogGroup", "aws:ec2/launchTemplate:LaunchTemplate"


@CATALOGUE.charges_for("aws:eks/cluster:Cluster")
def _charge_cluster(_: Resource, __: Stack) -> Charges:
    """https://aws.amazon.com/eks/pricing/"""
    yield hourly("control plane", "kubernetes")


@CATALOGUE.charges_for("aws:eks/nodeGroup:NodeGroup")
def _charge_node_group(group: Resource, stack: Stack) -> Charges:
    """The minimum of nodes, which an idle stack has. https://aws.amazon.com/ec2/pricing/on-demand/"""
    nodes = float(group.get("scalingConfig.minSize", 0))
    size = (group.get("instanceTypes") or ["unknown"])[0]
    yield hourly("nodes", f"node/{size}", stack.usage["nodeHours"], nodes)
    template = stack.find(_TEMPLATE, group.name)
    for mapping in (template.get("blockDeviceMappings") or ()) if template else ():
        disk = mapping.get("ebs") or {}
        yield volume("node disks", f"disk/{disk.get('volumeType', 'gp2')}", nodes * float(disk.get("volumeSize", 20)))


@CATALOGUE.charges_for("aws:ec2/natGateway:NatGateway")
def _charge_nat_gateway(_: Resource, stack: Stack) -> Charges:
    """https://aws.amazon.com/vpc/pricing/"""
    yield hourly("gateway", "nat-gateway")
    yield volume("data", "nat-gateway-data", stack.share("networkGb", _NAT))


@CATALOGUE.charges_for("aws:ec2/eip:Eip")
def _charge_address(_: Resource, __: Stack) -> Charges:
    """https://aws.amazon.com/vpc/pricing/"""
    yield hourly("address", "public-address")


@CATALOGUE.charges_for(_ENDPOINT)
def _charge_endpoint(endpoint: Resource, stack: Stack) -> Charges:
    """An address in each subnet; those of gateways are free. https://aws.amazon.com/privatelink/pricing/"""
    if endpoint.get("vpcEndpointType", "Gateway") != "Interface":
        return
    zones = len(endpoint.get("subnetIds") or [""])
    interfaces = sum(each.get("vpcEndpointType") == "Interface" for each in stack.resources if each.type == _ENDPOINT)
    yield hourly("addresses", "private-endpoint", count=zones)
    yield volume("data", "private-endpoint-data", stack.usage["networkGb"] / interfaces)


@CATALOGUE.charges_for("aws:rds/instance:Instance")
def _charge_database(database: Resource, stack: Stack) -> Charges:
    """Backups up to the size of the disk are free. https://aws.amazon.com/rds/postgresql/pricing/"""
    suffix = "/multi-zone" if database.get("multiAz") else ""
    yield hourly("instance", f"database/{database.get('instanceClass')}{suffix}", stack.usage["databaseHours"])
    disk = database.get("storageType", "gp2")
    yield volume("storage", f"database-storage/{disk}{suffix}", float(database.get("allocatedStorage", 0)))


@CATALOGUE.charges_for("aws:s3/bucket:Bucket")
def _charge_bucket(_: Resource, stack: Stack) -> Charges:
    """https://aws.amazon.com/s3/pricing/"""
    requests = stack.usage["requestsMillion"] * _MILLION
    yield volume("objects", "objects", stack.usage["objectsGb"])
    yield Charge("writes", "object-writes", requests, f"{requests:g} requests")
    yield Charge("reads", "object-reads", requests, f"{requests:g} requests")


@CATALOGUE.charges_for("aws:dynamodb/table:Table")
def _charge_table(table: Resource, stack: Stack) -> Charges:
    """On demand; reads of at most 4 KB and writes of 1 KB. https://aws.amazon.com/dynamodb/pricing/on-demand/"""
    requests = stack.usage["tableRequestsMillion"] * _MILLION
    yield Charge("reads", "table-reads", requests, f"{requests:g} reads")
    yield Charge("writes", "table-writes", requests, f"{requests:g} writes")
    yield volume("storage", "table-storage", stack.usage["tableGb"])
    if table.get("pointInTimeRecovery.enabled"):
        yield volume("backup", "table-backup", stack.usage["tableGb"])


@CATALOGUE.charges_for(_LOGS)
def _charge_log_group(group: Resource, stack: Stack) -> Charges:
    """Flow logs and the trail are stored here, too. https://aws.amazon.com/cloudwatch/pricing/"""
    ingested = stack.share("logsGb", _LOGS)
    yield volume("ingestion", "logs-ingestion", ingested)
    yield volume("retention", "logs-retention", ingested * float(group.get("retentionInDays", 365)) / 30)


@CATALOGUE.charges_for("aws:cloudwatch/metricAlarm:MetricAlarm")
def _charge_alarm(alarm: Resource, _: Stack) -> Charges:
    """Charged per metric that it evaluates. https://aws.amazon.com/cloudwatch/pricing/"""
    metrics = sum(1 for query in alarm.get("metricQueries") or () if query.get("metric")) or 1
    yield monthly("metrics", "alarm", metrics)


@CATALOGUE.charges_for("aws:cloudwatch/logMetricFilter:LogMetricFilter")
def _charge_metric(_: Resource, __: Stack) -> Charges:
    """The metric that it fills. https://aws.amazon.com/cloudwatch/pricing/"""
    yield monthly("metric", "metric")


@CATALOGUE.charges_for("aws:cloudwatch/dashboard:Dashboard")
def _charge_dashboard(_: Resource, __: Stack) -> Charges:
    """https://aws.amazon.com/cloudwatch/pricing/"""
    yield monthly("dashboard", "dashboard")


@CATALOGUE.charges_for("aws:cloudtrail/trail:Trail")
def _charge_trail(trail: Resource, stack: Stack) -> Charges:
    """The first copy of management events is free, data events are not. https://aws.amazon.com/cloudtrail/pricing/"""
    selectors = trail.get("eventSelectors") or ()
    if any(selector.get("dataResources") for selector in selectors):
        events = stack.usage["requestsMillion"] * _MILLION
        yield Charge("data events", "data-events", events, f"{events:g} events")


@CATALOGUE.charges_for("aws:kms/key:Key")
def _charge_key(_: Resource, stack: Stack) -> Charges:
    """https://aws.amazon.com/kms/pricing/"""
    requests = stack.usage["requestsMillion"] * _MILLION
    yield monthly("key", "key")
    yield Charge("requests", "key-requests", requests, f"{requests:g} requests")


@CATALOGUE.charges_for("aws:secretsmanager/secret:Secret")
def _charge_secret(_: Resource, stack: Stack) -> Charges:
    """https://aws.amazon.com/secrets-manager/pricing/"""
    requests = stack.share("requestsMillion", "aws:secretsmanager/secret:Secret") * _MILLION
    yield monthly("secret", "secret")
    yield Charge("requests", "secret-requests", requests, f"{requests:g} requests")


@CATALOGUE.charges_for("aws:ecr/repository:Repository")
def _charge_repository(_: Resource, stack: Stack) -> Charges:
    """https://aws.amazon.com/ecr/pricing/"""
    yield volume("images", "images", stack.usage["imagesGb"])


@CATALOGUE.charges_for("aws:sqs/queue:Queue")
def _charge_queue(_: Resource, stack: Stack) -> Charges:
    """https://aws.amazon.com/sqs/pricing/"""
    requests = stack.usage["requestsMillion"] * _MILLION
    yield Charge("requests", "queue-requests", requests, f"{requests:g} requests")


@CATALOGUE.charges_for("aws:ec2transitgateway/vpcAttachment:VpcAttachment")
def _charge_attachment(_: Resource, stack: Stack) -> Charges:
    """https://aws.amazon.com/transit-gateway/pricing/"""
    yield hourly("attachment", "transit-gateway-attachment")
    yield volume("data", "transit-gateway-data", stack.usage["networkGb"])
