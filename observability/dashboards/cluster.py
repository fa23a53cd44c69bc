"""Dashboards of the platform as a whole: firing alerts, the use of the cluster's capacity, and its cost."""

from __future__ import annotations

from observability.dashboards.layout import Board, Graph, Number, Row, Variable
from observability.slos import PREDICTIONS

OVERVIEW = Board(
    "platform-overview",
    "Platform overview",
    "Whether anything is wrong, and where to look further",
    [
        Row(
            "Now",
            [
                Number(
                    "Critical alerts",
                    "short",
                    'count(ALERTS{alertstate="firing", severity="critical"}) or vector(0)',
                ),
                Number("Warnings", "short", 'count(ALERTS{alertstate="firing", severity="warning"}) or vector(0)'),
                Number("Targets that are down", "short", "count(up == 0) or vector(0)"),
                Number("Least left of an error budget", "percentunit", "min(model:groundwork_slo_budget:remaining30d)"),
            ],
        ),
        Row(
            "Models and alerts",
            [
                Graph(
                    "Predictions",
                    "reqps",
                    {
                        "{{model}}": "sum by (model) "
                        f"(rate(groundwork_requests_total{{{PREDICTIONS}}}[$__rate_interval]))"
                    },
                ),
                Graph(
                    "Alerts that fire",
                    "short",
                    {"{{alertname}}": 'count by (alertname) (ALERTS{alertstate="firing", severity!="none"})'},
                ),
            ],
        ),
        Row(
            "Services",
            [
                Graph(
                    "Share of replicas that are available",
                    "percentunit",
                    {
                        "{{namespace}}": "sum by (namespace) (kube_deployment_status_replicas_available)"
                        " / sum by (namespace) (kube_deployment_spec_replicas)"
                    },
                ),
                Graph(
                    "Days until certificates expire",
                    "d",
                    {
                        "{{exported_namespace}}/{{name}}": "(min by (exported_namespace, name) "
                        "(certmanager_certificate_expiration_timestamp_seconds) - time()) / 86400"
                    },
                ),
                Graph(
                    "Secrets that cannot be read",
                    "short",
                    {
                        "{{exported_namespace}}/{{name}}": "sum by (exported_namespace, name) "
                        '(externalsecret_status_condition{condition="Ready", status="False"})'
                    },
                ),
            ],
        ),
    ],
)

_NAMESPACE = 'namespace=~"$namespace"'
CAPACITY = Board(
    "capacity",
    "Capacity",
    "How full nodes, pools, autoscalers and volumes are",
    [
        Row(
            "Nodes",
            [
                Graph(
                    "Nodes, by pool, and their maximum",
                    "short",
                    {
                        "{{label_groundwork_pool}}": "count by (label_groundwork_pool) "
                        '(kube_node_labels{label_groundwork_pool!=""})',
                        "maximum {{label_groundwork_pool}}": "groundwork_node_pool_maximum_nodes",
                    },
                ),
                Graph(
                    "CPU in use",
                    "percentunit",
                    {
                        "{{instance}}": "1 - avg by (instance) "
                        '(rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))'
                    },
                ),
                Graph(
                    "Memory in use",
                    "percentunit",
                    {"{{instance}}": "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"},
                ),
                Graph(
                    "Disk in use",
                    "percentunit",
                    {
                        "{{instance}}": '1 - node_filesystem_avail_bytes{mountpoint="/"}'
                        ' / node_filesystem_size_bytes{mountpoint="/"}'
                    },
                ),
            ],
        ),
        Row(
            "Pods",
            [
                Graph(
                    "CPU in use, of the limit",
                    "percentunit",
                    {
                        "{{pod}} {{container}}": "sum by (namespace, pod, container) "
                        f'(rate(container_cpu_usage_seconds_total{{{_NAMESPACE}, container!=""}}[$__rate_interval]))'
                        " / sum by (namespace, pod, container) "
                        f'(kube_pod_container_resource_limits{{{_NAMESPACE}, resource="cpu"}})'
                    },
                ),
                Graph(
                    "Memory in use, of the limit",
                    "percentunit",
                    {
                        "{{pod}} {{container}}": "sum by (namespace, pod, container) "
                        f'(container_memory_working_set_bytes{{{_NAMESPACE}, container!=""}})'
                        " / sum by (namespace, pod, container) "
                        f'(kube_pod_container_resource_limits{{{_NAMESPACE}, resource="memory"}})'
                    },
                ),
                Graph(
                    "Restarts in the last hour",
                    "short",
                    {
                        "{{pod}}": "sum by (namespace, pod) "
                        f"(increase(kube_pod_container_status_restarts_total{{{_NAMESPACE}}}[1h])) > 0"
                    },
                ),
            ],
        ),
        Row(
            "Autoscalers, volumes, interruptions",
            [
                Graph(
                    "Replicas, of an autoscaler's maximum",
                    "percentunit",
                    {
                        "{{horizontalpodautoscaler}}": "kube_horizontalpodautoscaler_status_current_replicas"
                        f"{{{_NAMESPACE}}} / kube_horizontalpodautoscaler_spec_max_replicas{{{_NAMESPACE}}}"
                    },
                ),
                Graph(
                    "Volumes in use",
                    "percentunit",
                    {
                        "{{persistentvolumeclaim}}": f"1 - kubelet_volume_stats_available_bytes{{{_NAMESPACE}}}"
                        f" / kubelet_volume_stats_capacity_bytes{{{_NAMESPACE}}}"
                    },
                ),
                Graph(
                    "Interruptions of spot instances (AWS)",
                    "short",
                    {
                        "{{message_type}}": "sum by (message_type) "
                        "(increase(karpenter_interruption_received_messages_total[1h]))"
                    },
                ),
            ],
        ),
    ],
    [Variable("namespace", "kube_pod_info")],
)

COST = Board(
    "cost",
    "Cost drivers",
    "What the bill depends on: nodes, what is requested of them, and volumes. Amounts are in the cloud's cost tools",
    [
        Row(
            "Nodes",
            [
                Graph(
                    "Nodes, by instance type",
                    "short",
                    {
                        "{{label_node_kubernetes_io_instance_type}}": "count by "
                        "(label_node_kubernetes_io_instance_type) (kube_node_labels)"
                    },
                ),
                Graph(
                    "CPU that nobody requests",
                    "percentunit",
                    {
                        "idle": '1 - sum(kube_pod_container_resource_requests{resource="cpu"})'
                        ' / sum(kube_node_status_allocatable{resource="cpu"})'
                    },
                ),
                Graph(
                    "Memory that nobody requests",
                    "percentunit",
                    {
                        "idle": '1 - sum(kube_pod_container_resource_requests{resource="memory"})'
                        ' / sum(kube_node_status_allocatable{resource="memory"})'
                    },
                ),
            ],
        ),
        Row(
            "Who requests it",
            [
                Graph(
                    "CPU cores requested",
                    "short",
                    {"{{namespace}}": 'sum by (namespace) (kube_pod_container_resource_requests{resource="cpu"})'},
                ),
                Graph(
                    "CPU requested and not used",
                    "short",
                    {
                        "{{namespace}}": "sum by (namespace) "
                        '(kube_pod_container_resource_requests{resource="cpu"}) - sum by (namespace) '
                        '(rate(container_cpu_usage_seconds_total{container!=""}[$__rate_interval]))'
                    },
                ),
                Graph(
                    "Volumes",
                    "bytes",
                    {
                        "{{namespace}}": "sum by (namespace) "
                        "(kube_persistentvolumeclaim_resource_requests_storage_bytes)"
                    },
                ),
            ],
        ),
    ],
    hours=168,
)
