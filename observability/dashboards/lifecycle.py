"""Dashboards of the path to serving: training, MLflow, Argo CD, promotion and rollouts."""

from __future__ import annotations

from observability.dashboards.layout import Board, Graph, Number, Row

TRAINING = Board(
    "training",
    "Training runs",
    "The pods of training runs, and the service that starts them. Their metrics and parameters are in MLflow",
    [
        Row(
            "Continuous training",
            [
                Graph(
                    "Requests for a run, by answer",
                    "short",
                    {"{{answer}}": "sum by (answer) (increase(groundwork_retraining_requests_total[1h]))"},
                ),
                Graph(
                    "Runs that ended, by outcome",
                    "short",
                    {"{{outcome}}": "sum by (outcome) (increase(groundwork_retraining_runs_finished_total[1d]))"},
                ),
                Graph(
                    "What failed",
                    "short",
                    {
                        "calls of the Kubernetes API": "sum(increase(groundwork_retraining_api_failures_total[15m]))",
                        "invalid messages": "sum(increase(groundwork_retraining_rejected_total[15m]))",
                    },
                    "An alert fires at four failed calls in a quarter of an hour",
                ),
            ],
        ),
        Row(
            "Runs",
            [
                Graph(
                    "Pods, by phase",
                    "short",
                    {"{{phase}}": 'sum by (phase) (kube_pod_status_phase{namespace=~"training|kubeflow"})'},
                ),
                Graph(
                    "Restarts in the last hour",
                    "short",
                    {
                        "{{namespace}}": "sum by (namespace) "
                        '(increase(kube_pod_container_status_restarts_total{namespace=~"training|kubeflow"}[1h]))'
                    },
                ),
                Graph(
                    "Pods that find no node",
                    "short",
                    {
                        "{{namespace}}": "sum by (namespace) "
                        '(kube_pod_status_unschedulable{namespace=~"training|kubeflow"})'
                    },
                ),
            ],
        ),
        Row(
            "Resources",
            [
                Graph(
                    "CPU cores in use",
                    "short",
                    {
                        "{{pod}}": 'sum by (pod) (rate(container_cpu_usage_seconds_total{namespace="training", '
                        'container!=""}[$__rate_interval]))'
                    },
                ),
                Graph(
                    "Memory in use",
                    "bytes",
                    {
                        "{{pod}}": "sum by (pod) "
                        '(container_memory_working_set_bytes{namespace="training", container!=""})'
                    },
                ),
            ],
        ),
    ],
    hours=24,
)

MLFLOW = Board(
    "mlflow",
    "MLflow",
    "The tracking server and model registry",
    [
        Row(
            "State",
            [
                Number("Pods that answer", "short", 'sum(up{namespace="mlflow"})'),
                Number(
                    "Restarts in the last day",
                    "short",
                    'sum(increase(kube_pod_container_status_restarts_total{namespace="mlflow"}[1d]))',
                ),
            ],
        ),
        Row(
            "Requests, errors, durations",
            [
                Graph(
                    "Requests, by status",
                    "reqps",
                    {"{{status}}": "sum by (status) (rate(mlflow_http_request_total[$__rate_interval]))"},
                ),
                Graph(
                    "Share of failed requests",
                    "percentunit",
                    {
                        "5xx": 'sum(rate(mlflow_http_request_total{status=~"5.."}[$__rate_interval]))'
                        " / sum(rate(mlflow_http_request_total[$__rate_interval]))"
                    },
                ),
                Graph(
                    "p95 of response times",
                    "s",
                    {
                        "p95": "histogram_quantile(0.95, sum by (le) "
                        "(rate(mlflow_http_request_duration_seconds_bucket[$__rate_interval])))"
                    },
                ),
            ],
        ),
        Row(
            "Resources",
            [
                Graph(
                    "CPU cores in use",
                    "short",
                    {
                        "{{pod}}": 'sum by (pod) (rate(container_cpu_usage_seconds_total{namespace="mlflow", '
                        'container!=""}[$__rate_interval]))'
                    },
                ),
                Graph(
                    "Memory in use",
                    "bytes",
                    {"{{pod}}": 'sum by (pod) (container_memory_working_set_bytes{namespace="mlflow", container!=""})'},
                ),
            ],
        ),
    ],
)

ARGO_CD = Board(
    "argocd",
    "Argo CD",
    "What is committed, and whether the cluster has it",
    [
        Row(
            "Applications",
            [
                Graph(
                    "By sync status",
                    "short",
                    {"{{sync_status}}": "count by (sync_status) (argocd_app_info)"},
                ),
                Graph(
                    "By health",
                    "short",
                    {"{{health_status}}": "count by (health_status) (argocd_app_info)"},
                ),
                Graph(
                    "Syncs, by result",
                    "short",
                    {"{{name}} {{phase}}": "sum by (name, phase) (increase(argocd_app_sync_total[1h]))"},
                ),
            ],
        ),
        Row(
            "Controller",
            [
                Graph(
                    "p95 of reconciliations",
                    "s",
                    {
                        "p95": "histogram_quantile(0.95, sum by (le) "
                        "(rate(argocd_app_reconcile_bucket[$__rate_interval])))"
                    },
                ),
                Graph(
                    "Requests to git",
                    "reqps",
                    {"{{request_type}}": "sum by (request_type) (rate(argocd_git_request_total[$__rate_interval]))"},
                ),
                Graph(
                    "Fetches from git that failed",
                    "short",
                    {"failed": "sum(increase(argocd_git_fetch_fail_total[1h]))"},
                ),
            ],
        ),
    ],
    hours=24,
)

ROLLOUTS = Board(
    "rollouts",
    "Promotion and rollouts",
    "From an alias in the registry to a commit, and from there to all requests",
    [
        Row(
            "Promotion",
            [
                Graph(
                    "Events that wait",
                    "short",
                    {"waiting": "max(groundwork_promotion_waiting_events)"},
                ),
                Graph(
                    "Events finished, by outcome",
                    "short",
                    {"{{outcome}}": "sum by (outcome) (increase(groundwork_promotion_events_total[1h]))"},
                ),
                Graph(
                    "Deliveries of webhooks, by answer",
                    "short",
                    {"{{outcome}}": "sum by (outcome) (increase(groundwork_promotion_deliveries_total[1h]))"},
                ),
            ],
        ),
        Row(
            "Failures and duration of promotions",
            [
                Graph(
                    "Attempts that failed",
                    "short",
                    {
                        "promotions": "sum(increase(groundwork_promotion_retries_total[1h]))",
                        "reconciliations": "sum(increase(groundwork_promotion_reconciliation_failures_total[1h]))",
                    },
                ),
                Graph(
                    "Time from an event to its end",
                    "s",
                    {"p95": "histogram_quantile(0.95, sum by (le) (rate(groundwork_promotion_seconds_bucket[1h])))"},
                ),
            ],
        ),
        Row(
            "Rollouts",
            [
                Graph(
                    "Models that are rolled out",
                    "short",
                    {"running": "sum(groundwork_rollouts_running)"},
                ),
                Graph(
                    "Concluded, by status",
                    "short",
                    {"{{status}}": "sum by (status) (increase(groundwork_rollouts_finished_total[1d]))"},
                ),
                Graph(
                    "Steps that failed",
                    "short",
                    {"{{model}}": "sum by (model) (increase(groundwork_rollout_failures_total[1h]))"},
                ),
            ],
        ),
    ],
    hours=24,
)
