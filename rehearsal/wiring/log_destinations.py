"""Checks that logs arrive: from the writer to the place where they are stored, and from there to queries.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html,
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_LogAccess.Procedural.UploadtoCloudWatch.html,
https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html and
https://learn.microsoft.com/azure/azure-monitor/platform/diagnostic-settings
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kernel.paths import look_up
from kernel.values import as_list
from rehearsal.kubernetes.readiness.pod_texts import list_texts
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.grants import has_azure_role, role_allows
from rehearsal.wiring.graph import EKS, Wiring, describe, mentions

_LOG_GROUP, _FLOW_LOG = "aws:cloudwatch/logGroup:LogGroup", "aws:ec2/flowLog:FlowLog"
_TRAIL, _DATABASE = "aws:cloudtrail/trail:Trail", "aws:rds/instance:Instance"
_SETTING, _ALERT = "azure-native:monitor:DiagnosticSetting", "azure-native:monitor:ScheduledQueryRule"
_COLLECTION = "azure-native:monitor:DataCollectionRule"
_COLLECTION_ASSOCIATION = "azure-native:monitor:DataCollectionRuleAssociation"
_AZURE_FLOW_LOG = "azure-native:network:FlowLog"
_WRITE_ROLES = ("Storage Blob Data Contributor", "Storage Blob Data Owner")
# Prefixes of the log groups of modelled services.
_NAMES_OF_SERVICES = ("/aws/eks/", "/aws/rds/")
_CATEGORY = re.compile(r'Category\s*==\s*"([^"]+)"')
# The stream of Container Insights that fills each table.
# Source: https://learn.microsoft.com/azure/azure-monitor/containers/container-insights-data-collection-configure
_STREAMS = {
    "KubeNodeInventory": "Microsoft-KubeNodeInventory",
    "KubePodInventory": "Microsoft-KubePodInventory",
    "KubeEvents": "Microsoft-KubeEvents",
    "InsightsMetrics": "Microsoft-InsightsMetrics",
    "Perf": "Microsoft-Perf",
    "ContainerLogV2": "Microsoft-ContainerLogV2",
}


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    for group in wiring.clouds.all(_LOG_GROUP):
        if _is_of_a_service(group) and not _has_writer(wiring, group):
            yield Problem(describe(group), "nothing writes to it", "enable the service's logs, or delete it")
    for resource, group_arn, role_arn in _list_writing_services(wiring):
        yield from _check_writer(wiring, resource, group_arn, role_arn)
    for flow_log in wiring.clouds.all(_AZURE_FLOW_LOG):
        yield from check_resource(wiring, flow_log)
    for alert in wiring.clouds.all(_ALERT):
        yield from _check_query(wiring, alert)
    for rule in wiring.clouds.all(_COLLECTION):
        yield from _check_collection(wiring, rule)


def _is_of_a_service(group: Resource) -> bool:
    """Whether its name tells which service writes to it; any program elsewhere may write to other groups."""
    return str(group.inputs.get("name")).startswith(_NAMES_OF_SERVICES)


def _has_writer(wiring: Wiring, group: Resource) -> bool:
    name, arn = str(group.inputs.get("name")), str(group.outputs.get("arn"))
    return any(
        (
            any(
                name == f"/aws/eks/{cluster.id}/cluster" and as_list(cluster.inputs.get("enabledClusterLogTypes"))
                for cluster in wiring.clouds.all(EKS)
            ),
            any(
                name == f"/aws/rds/instance/{database.inputs.get('identifier')}/{log}"
                for database in wiring.clouds.all(_DATABASE)
                for log in as_list(database.inputs.get("enabledCloudwatchLogsExports"))
            ),
            any(_strip(target) == arn for _, target, _ in _list_writing_services(wiring)),
            any(
                mentions(text, name)
                for pod in wiring.pods
                for _, text in list_texts(wiring.cluster, pod.namespace, pod.spec)
            ),
        )
    )


def _list_writing_services(wiring: Wiring) -> Iterator[tuple[Resource, str, str]]:
    """Services that write with a role, each with the ARNs of its log group and of the role."""
    for flow_log in wiring.clouds.all(_FLOW_LOG):
        if flow_log.inputs.get("logDestinationType", "cloud-watch-logs") == "cloud-watch-logs":
            yield flow_log, str(flow_log.inputs.get("logDestination")), str(flow_log.inputs.get("iamRoleArn"))
    for trail in wiring.clouds.all(_TRAIL):
        if trail.inputs.get("cloudWatchLogsGroupArn"):
            role = str(trail.inputs.get("cloudWatchLogsRoleArn"))
            yield trail, str(trail.inputs.get("cloudWatchLogsGroupArn")), role


def _strip(arn: str) -> str:
    return arn.removesuffix(":*")


def _check_writer(wiring: Wiring, resource: Resource, group: str, role_arn: str) -> Iterator[Problem]:
    role = wiring.clouds.find(role_arn)
    if role is None:
        yield Problem(describe(resource), f"it has no role to write to {group}", "set a role that may")
        return
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        if not role_allows(wiring, role, action, f"{_strip(group)}:log-stream:x"):
            reason = f"{describe(resource)} writes to {_strip(group)} with it, but it does not allow {action} there"
            yield Problem(describe(role), reason, "allow the action on the log group's streams")


def check_resource(wiring: Wiring, flow_log: Resource) -> Iterator[Problem]:
    """Check one resource of any type: a flow log of Azure may write to its storage account."""
    if flow_log.type != _AZURE_FLOW_LOG:
        return
    storage = str(flow_log.inputs.get("storageId"))
    if flow_log.inputs.get("enabled") is not True:
        yield Problem(describe(flow_log), "it is disabled", "set enabled")
    for id_ in as_list(look_up(flow_log.inputs, "identity.userAssignedIdentities", None)):
        identity = wiring.clouds.find(str(id_))
        if identity and not has_azure_role(wiring, str(identity.outputs.get("principalId")), _WRITE_ROLES, storage):
            reason = f"flow logs are written to {storage.rpartition('/')[2]} as this identity, which may not"
            yield Problem(describe(identity), reason, f"assign {_WRITE_ROLES[0]} on the account")


def _check_query(wiring: Wiring, alert: Resource) -> Iterator[Problem]:
    """Check that the logs that an alert's query reads are sent to its workspace."""
    scopes = {str(scope).lower() for scope in as_list(alert.inputs.get("scopes"))}
    for condition in as_list(look_up(alert.inputs, "criteria.allOf", None)):
        query = str(condition.get("query"))
        sent = {
            str(log.get("category"))
            for setting in wiring.clouds.all(_SETTING)
            if str(setting.inputs.get("workspaceId")).lower() in scopes
            for log in as_list(setting.inputs.get("logs"))
            if log.get("enabled") is True
        }
        for category in _CATEGORY.findall(query):
            if category not in sent:
                reason = f"no diagnostic setting sends {category}, which its query reads, to its workspace"
                yield Problem(describe(alert), reason, "send the category there")
        streams = {stream for rule in _list_collections(wiring, scopes) for stream in _list_streams(rule)}
        for table, stream in _STREAMS.items():
            if mentions(query, table) and stream not in streams:
                reason = f"no data collection rule fills {table}, which its query reads, in its workspace"
                yield Problem(describe(alert), reason, f"collect {stream}")


def _list_collections(wiring: Wiring, workspaces: set[str]) -> Iterator[Resource]:
    """Rules that are associated with a resource and send to one of these workspaces."""
    for rule in wiring.clouds.all(_COLLECTION):
        targets = {
            str(each.get("workspaceResourceId")).lower()
            for each in as_list(look_up(rule.inputs, "destinations.logAnalytics", None))
        }
        if targets & workspaces and wiring.find_one(_COLLECTION_ASSOCIATION, "dataCollectionRuleId", rule.id):
            yield rule


def _list_streams(rule: Resource) -> Iterator[str]:
    """Streams that a rule both collects and sends to a destination."""
    collected = {
        str(stream)
        for sources in (rule.inputs.get("dataSources") or {}).values()
        for source in as_list(sources)
        for stream in as_list(source.get("streams"))
    }
    for flow in as_list(rule.inputs.get("dataFlows")):
        if as_list(flow.get("destinations")):
            yield from (str(stream) for stream in as_list(flow.get("streams")) if str(stream) in collected)


def _check_collection(wiring: Wiring, rule: Resource) -> Iterator[Problem]:
    if wiring.find_one(_COLLECTION_ASSOCIATION, "dataCollectionRuleId", rule.id) is None:
        yield Problem(describe(rule), "no resource is associated with it", "associate it with a resource")
    if not list(_list_streams(rule)):
        yield Problem(describe(rule), "nothing that it collects is sent to a destination", "set dataFlows")
