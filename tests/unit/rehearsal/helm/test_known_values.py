"""The values that charts know, for small charts and for the real ones in GROUNDWORK_CHARTS.

Proves that values which are documented, declared, or read by templates are not reported, and that misspelt ones are
reported with the nearest known value. Keys inside maps that templates render as a whole are not checked here: if they
end up in Kubernetes objects, the API's schemas validate them.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.helm.charts import FOLDER_VARIABLE
from rehearsal.helm.known_values import find_unknown_values
from tests.support import chart_packages

VALUES_YAML = """\
replicas: 1
# -- Ports of the service: a comment with a colon
service:
  type: ClusterIP
  # nodePort: 30080
image: {repository: nginx, tag: ""}
resources: {}
metrics: {enabled: false}
settings:
  level: info
podLabels:
  app: web
global:
  domain: ""
"""
TEMPLATE = """\
replicas: {{ .Values.replicas }}
timeout: {{ .Values.timeout | default 30 }}
zone: {{ index .Values "placement" "zone" }}
image: {{ include "image" (dict "image" .Values.image) }}
{{- with .Values.podLabels }}
labels: {{- toYaml . | nindent 2 }}
{{- end }}
{{- $metrics := .Values.metrics }}
interval: {{ $metrics.interval }}
settings: {{ tpl (toYaml .Values.settings) . }}
"""
HELPERS = '{{ define "image" }}{{ .image.registry }}/{{ .image.repository }}{{ end }}'
SCHEMA = """
{"properties": {"scheduling": {"$ref": "#/$defs/scheduling"}}, "$defs": {"scheduling": {"properties": {"zones": {}}}}}
"""
CHART_YAML = "dependencies: [{name: store, alias: database, condition: database.enabled}]"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {
        "Chart.yaml": CHART_YAML,
        "values.yaml": VALUES_YAML,
        "values.schema.json": SCHEMA,
        "templates/web.yaml": TEMPLATE,
        "templates/_helpers.tpl": HELPERS,
        "files/patch.yaml": "level: {{ .Values.patch.level }}",  # rendered by `tpl (.Files.Get ...)`
        "charts/store/Chart.yaml": "name: store",
        "charts/store/values.yaml": "persistence: {size: 8Gi}\nglobal: {storageClass: ''}",
    }
    return chart_packages.write(tmp_path / "web-1.0.0.tgz", {f"web/{name}": text for name, text in files.items()})


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": 2, "service": {"type": "NodePort", "nodePort": 30080}},
        {"resources": {"limits": {"memory": "1Gi"}}, "podLabels": {"team": "a"}, "settings": {"debug": True}},
        {"timeout": 10, "placement": {"zone": "a"}, "metrics": {"interval": "30s"}},
        {"image": {"registry": "r", "tag": "1"}},
        {"scheduling": {"zones": ["a"]}},
        {"database": {"enabled": True, "persistence": {"size": "1Gi"}}, "global": {"storageClass": "fast"}},
        {"replicas": UNKNOWN, "service": UNKNOWN},
    ],
    ids=["values.yaml and its comments", "free maps", "templates", "named templates", "schema", "subcharts", "unknown"],
)
def test_values_that_a_chart_knows_are_not_reported(package: Path, values: Mapping[str, Any]) -> None:
    assert find_unknown_values(package, values) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replcias": 2}, "replcias is not one of its values (the nearest is replicas)"),
        ({"service": {"nodeport": 1}}, "service.nodeport is not one of its values (the nearest is service.nodePort)"),
        (
            {"database": {"persistance": {}}},
            "database.persistance is not one of its values (the nearest is database.persistence)",
        ),
        ({"scheduling": {"zone": "a"}}, "scheduling.zone is not one of its values (the nearest is scheduling.zones)"),
        ({"persistence": {}}, "persistence is not one of its values (the nearest is database.persistence)"),
        ({"nonsense": UNKNOWN}, "nonsense is not one of its values"),
    ],
)
def test_an_unknown_value_is_named_with_the_nearest(package: Path, values: Mapping[str, Any], message: str) -> None:
    assert [found.message for found in find_unknown_values(package, values)] == [message]


# Values as the platform and the charts' own documentation set them.
REAL_VALUES: Mapping[str, Mapping[str, Any]] = {
    "alloy": {
        "alloy": {
            "configMap": {"content": "logging {}"},
            "enableReporting": False,
            "clustering": {"enabled": True},
            "mounts": {"varlog": True},
            "extraEnv": [],
            "resources": {},
            "securityContext": {"readOnlyRootFilesystem": True},
        },
        "controller": {"type": "daemonset", "tolerations": [], "podLabels": {"team": "a"}, "updateStrategy": {}},
        "serviceMonitor": {"enabled": True},
        "rbac": {"create": True},
        "crds": {"create": False},
    },
    "argo-cd": {
        "global": {"domain": "argocd.example", "podLabels": {"team": "a"}, "topologySpreadConstraints": []},
        "configs": {
            "cm": {"admin.enabled": False, "url": "https://argocd.example"},
            "params": {"server.insecure": True},
            "rbac": {"policy.csv": "", "policy.default": "role:readonly"},
            "secret": {"createSecret": True},
            "repositories": {"platform": {"url": "https://git.example"}},
        },
        "redis-ha": {"enabled": True, "haproxy": {"metrics": {"enabled": True}}},
        "controller": {
            "metrics": {"enabled": True, "serviceMonitor": {"enabled": True}},
            "resources": {},
            "pdb": {"enabled": True},
        },
        "repoServer": {"replicas": 2, "autoscaling": {"enabled": False}, "metrics": {"enabled": True}},
        "server": {"replicas": 2, "ingress": {"enabled": False}, "pdb": {"enabled": True, "minAvailable": 1}},
        "applicationSet": {"replicas": 1, "resources": {}},
        "notifications": {"enabled": False},
        "dex": {"enabled": False},
        "crds": {"install": True, "keep": False},
    },
    "aws-load-balancer-controller": {
        "clusterName": "c",
        "region": "eu-west-1",
        "vpcId": "vpc-1",
        "replicaCount": 2,
        "serviceAccount": {"create": False, "name": "controller"},
        "enableCertManager": True,
        "keepTLSSecret": True,
        "podDisruptionBudget": {"maxUnavailable": 1},
        "serviceMonitor": {"enabled": True},
        "defaultTags": {"owner": "ml"},
        "enableShield": False,
    },
    "cert-manager": {
        "crds": {"enabled": True, "keep": False},
        "config": {"enableGatewayAPI": True},
        "replicaCount": 2,
        "prometheus": {"servicemonitor": {"enabled": True}},
        "webhook": {"replicaCount": 2, "podDisruptionBudget": {"enabled": True}, "resources": {}},
        "cainjector": {"resources": {}, "replicaCount": 1},
        "startupapicheck": {"resources": {}},
        "global": {"leaderElection": {"namespace": "cert-manager"}},
    },
    "external-secrets": {
        "replicaCount": 2,
        "serviceAccount": {"create": False, "name": "external-secrets", "annotations": {"role": "a"}},
        "podLabels": {"azure.workload.identity/use": "true"},
        "webhook": {"replicaCount": 2, "podDisruptionBudget": {"enabled": True, "minAvailable": 1}, "port": 10250},
        "certController": {"resources": {}},
        "serviceMonitor": {"enabled": True, "interval": "30s"},
        "installCRDs": True,
        "processClusterExternalSecret": False,
    },
    "gateway-helm": {
        "deployment": {
            "replicas": 2,
            "envoyGateway": {"resources": {}, "securityContext": {}},
            "pod": {"labels": {"a": "b"}},
        },
        "config": {"envoyGateway": {"gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"}}},
        "podDisruptionBudget": {"minAvailable": 1},
        "certgen": {"job": {"resources": {}}},
    },
    "karpenter": {
        "settings": {"clusterName": "c", "interruptionQueue": "q", "clusterEndpoint": "https://c"},
        "serviceAccount": {"create": False, "name": "karpenter"},
        "controller": {"resources": {}, "metrics": {"port": 8080}},
        "serviceMonitor": {"enabled": True},
        "replicas": 2,
        "logLevel": "info",
        "dnsPolicy": "Default",
    },
    "kserve-resources": {
        "kserve": {
            "controller": {
                "deploymentMode": "Standard",
                "gateway": {
                    "domain": "models.example",
                    "ingressGateway": {
                        "enableGatewayApi": True,
                        "createGateway": False,
                        "kserveGateway": "a/b",
                        "className": "envoy",
                    },
                },
                "resources": {},
            },
            "storage": {"resources": {}},
        }
    },
    "kserve-runtime-configs": {"kserve": {"servingruntime": {"enabled": True, "sklearnserver": {"disabled": True}}}},
    "loki": {
        "deploymentMode": "Monolithic",
        "loki": {
            "auth_enabled": False,
            "commonConfig": {"replication_factor": 1},
            "storage": {
                "type": "s3",
                "bucketNames": {"chunks": "b", "ruler": "b", "admin": "b"},
                "s3": {"region": "eu"},
            },
            "schemaConfig": {"configs": []},
            "limits_config": {"retention_period": "30d"},
            "compactor": {"retention_enabled": True},
            "analytics": {"reporting_enabled": False},
        },
        "singleBinary": {"replicas": 1, "persistence": {"size": "10Gi", "storageClass": "fast"}},
        "read": {"replicas": 0},
        "write": {"replicas": 0},
        "backend": {"replicas": 0},
        "chunksCache": {"enabled": False},
        "resultsCache": {"enabled": False},
        "gateway": {"enabled": False},
        "lokiCanary": {"enabled": False},
        "test": {"enabled": False},
        "monitoring": {"serviceMonitor": {"enabled": True}},
    },
    "metrics-server": {
        "replicas": 2,
        "podDisruptionBudget": {"enabled": True, "minAvailable": 1},
        "metrics": {"enabled": True},
        "serviceMonitor": {"enabled": True},
        "tls": {"type": "cert-manager"},
        "args": ["--kubelet-insecure-tls"],
        "apiService": {"insecureSkipTLSVerify": False},
    },
    "tempo": {
        "tempo": {
            "reportingEnabled": False,
            "retention": "48h",
            "storage": {"trace": {"backend": "s3", "s3": {"bucket": "b"}}},
            "metricsGenerator": {"enabled": True, "remoteWriteUrl": "http://prometheus"},
            "securityContext": {"readOnlyRootFilesystem": True},
        },
        "persistence": {"enabled": True, "size": "10Gi"},
        "serviceMonitor": {"enabled": True},
        "podLabels": {"a": "b"},
    },
}


def find_real_package(chart: str) -> Path:
    """The package of a chart in the folder of GROUNDWORK_CHARTS, in any version; skips the test without one."""
    folder = os.environ.get(FOLDER_VARIABLE, "")
    found = [path for path in Path(folder).glob(f"{chart}-*.tgz") if re.match(r"v?\d", path.name[len(chart) + 1 :])]
    if not folder or not found:
        pytest.skip(f"{FOLDER_VARIABLE} names no folder with a package of {chart}")
    return found[0]


@pytest.mark.parametrize("chart", REAL_VALUES)
def test_values_of_real_charts_are_not_reported(chart: str) -> None:
    assert [found.message for found in find_unknown_values(find_real_package(chart), REAL_VALUES[chart])] == []


@pytest.mark.parametrize("chart", REAL_VALUES)
def test_misspelt_values_of_real_charts_are_found(chart: str) -> None:
    """At least seven of ten: the others are labels, parts of Kubernetes objects, and content of configuration files."""
    package = find_real_package(chart)
    misspelt = dict(_misspell_each(REAL_VALUES[chart]))
    found = [
        path
        for path, values in misspelt.items()
        if path in (unknown.path for unknown in find_unknown_values(package, values))
    ]
    assert len(found) >= 0.7 * len(misspelt), sorted(set(misspelt) - set(found))


def _misspell_each(values: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The values with one letter of one key changed, for each key, and the key's path."""
    for path in _list_paths(values):
        changed = copy.deepcopy(dict(values))
        place: Any = changed
        for key in path[:-1]:
            place = place[key]
        middle = len(path[-1]) // 2
        wrong = f"{path[-1][:middle]}{'x' if path[-1][middle] != 'x' else 'y'}{path[-1][middle + 1 :]}"
        place[wrong] = place.pop(path[-1])
        yield ".".join([*path[:-1], wrong]), changed


def _list_paths(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, Mapping):
            yield from _list_paths(value, (*path, key))


def test_values_that_only_a_rendered_file_reads_are_known(package: Path) -> None:
    assert list(find_unknown_values(package, {"patch": {"level": "info"}})) == []
    assert len(list(find_unknown_values(package, {"patch": {"lvl": "info"}}))) == 1
