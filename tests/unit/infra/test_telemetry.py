"""Loki, Tempo and Alloy, and what the platform's own processes send them, on a foundation of constant values.

Proves which stores, sizes and addresses their values contain, which share of traces is kept, that metrics link to
traces, and that errors are reported only if a setting names a secret. tests/platform/test_telemetry_configurations.py
checks their configurations.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pulumi
import pytest
import yaml

from infra.cluster.loki import Loki, LokiArgs
from infra.cluster.tempo import Tempo, TempoArgs
from infra.contract import BlobContainer, Foundation, TelemetryStoresContract
from rehearsal.simulator.offline_kubernetes import RELEASE
from rehearsal.toolchain import ROOT
from tests.support.recording import Recorder, stack_context
from tests.support.sample_platform import record_components, record_platform

pytestmark = pytest.mark.slow


def create_stores_of_blobs() -> TelemetryStoresContract:
    account, suffix = pulumi.Output.from_input("store"), "blob.example"
    containers = (BlobContainer(pulumi.Output.from_input(name), account, suffix) for name in ("logs", "traces"))
    return TelemetryStoresContract(*containers)


def values(recorder: Recorder, chart: str) -> Any:
    (release,) = [item.inputs for item in recorder.of_type(RELEASE) if item.inputs["chart"] == chart]
    return release["values"]


def tempo_configuration(recorder: Recorder) -> Any:
    return json.loads(values(recorder, "tempo")["config"])


@pytest.fixture(scope="module")
def dev() -> Recorder:
    return record_platform()


@pytest.fixture(scope="module")
def prod() -> Recorder:
    return record_platform("prod")


def test_logs_and_traces_are_stored_in_buckets(dev: Recorder) -> None:
    storage = values(dev, "loki")["loki"]["storage"]
    assert storage == {
        "type": "s3",
        "bucketNames": {"chunks": "logs"},
        "s3": {"region": "here", "endpoint": "s3.example"},
    }
    trace = tempo_configuration(dev)["storage"]["trace"]
    assert (trace["backend"], trace["s3"]) == ("s3", {"bucket": "traces", "endpoint": "s3.example", "region": "here"})


def test_logs_and_traces_are_stored_in_blob_containers_with_federated_tokens() -> None:
    context = stack_context("azure")

    def create(foundation: Foundation, options: pulumi.ResourceOptions) -> None:
        with_blobs = dataclasses.replace(foundation, telemetry_stores=create_stores_of_blobs())
        Loki("loki", LokiArgs(context, with_blobs), options)
        Tempo("tempo", TempoArgs(context, with_blobs), options)

    recorder = record_components(create)
    loki = values(recorder, "loki")["loki"]
    assert loki["storage"]["type"] == loki["schemaConfig"]["configs"][0]["object_store"] == "azure"
    assert loki["storage"]["azure"] == {
        "accountName": "store",
        "useFederatedToken": True,
        "endpointSuffix": "blob.example",
    }
    blob = tempo_configuration(recorder)["storage"]["trace"]["azure"]
    assert (blob["storage_account_name"], blob["use_federated_token"]) == ("store", True)
    assert not any("key" in name for name in blob)


def test_logs_and_traces_are_retained_as_long_as_the_setting_says(dev: Recorder, prod: Recorder) -> None:
    for recorder, hours in ((dev, "720h"), (prod, "2160h")):
        loki = values(recorder, "loki")["loki"]
        assert loki["limits_config"]["retention_period"] == hours
        assert loki["compactor"]["retention_enabled"] is True  # without it Loki deletes nothing
        assert tempo_configuration(recorder)["compactor"]["compaction"]["block_retention"] == hours


def test_replicated_data_has_enough_replicas_to_survive_the_loss_of_one(dev: Recorder, prod: Recorder) -> None:
    for recorder, loki_replicas, tempo_replicas in ((dev, 1, 1), (prod, 3, 2)):
        loki, tempo = values(recorder, "loki"), tempo_configuration(recorder)
        assert loki["singleBinary"]["replicas"] == loki_replicas
        assert loki["loki"]["commonConfig"]["replication_factor"] == loki_replicas
        assert values(recorder, "tempo")["replicas"] == tempo_replicas
        assert tempo["ingester"]["lifecycler"]["ring"]["replication_factor"] == tempo_replicas


def test_pods_use_the_identities_of_their_workloads(dev: Recorder) -> None:
    for pods, account in (
        (values(dev, "loki")["loki"]["podLabels"], values(dev, "loki")["serviceAccount"]),
        (values(dev, "tempo")["podLabels"], values(dev, "tempo")["serviceAccount"]),
    ):
        assert pods == {"identity": "on"}
        assert account["create"] is False
    assert values(dev, "loki")["serviceAccount"]["name"] == "loki"
    assert values(dev, "tempo")["serviceAccount"]["name"] == "tempo"


def test_none_of_them_reports_usage(dev: Recorder) -> None:
    assert values(dev, "loki")["loki"]["analytics"] == {"reporting_enabled": False}
    assert tempo_configuration(dev)["usage_report"] == {"reporting_enabled": False}
    assert values(dev, "alloy")["alloy"]["enableReporting"] is False


def test_the_collector_may_read_pods_their_logs_and_events_and_nothing_else(dev: Recorder) -> None:
    rbac = values(dev, "alloy")["rbac"]
    allowed = {resource for rule in (*rbac["rules"], *rbac["clusterRules"]) for resource in rule["resources"]}
    assert allowed == {"pods", "pods/log", "namespaces", "events"}


def test_the_collector_has_every_address_that_its_configuration_reads(dev: Recorder) -> None:
    alloy = values(dev, "alloy")["alloy"]
    environment = {each["name"]: each["value"] for each in alloy["extraEnv"]}
    assert environment == {"LOKI_URL": "http://loki.monitoring.svc:3100", "TEMPO_ENDPOINT": "tempo.monitoring.svc:4317"}
    assert all(f'sys.env("{name}")' in alloy["configMap"]["content"] for name in environment)
    assert alloy["configMap"]["content"].count("sys.env(") == len(environment)


def test_grafana_finds_logs_and_traces(dev: Recorder) -> None:
    sources = [
        source
        for item in dev.of_type("kubernetes:core/v1:ConfigMap")
        if item.inputs["metadata"].get("labels", {}).get("grafana_datasource") == "1"
        for text in item.inputs["data"].values()
        for source in json.loads(text)["datasources"]
    ]
    assert {source["type"]: source["url"] for source in sources} == {
        "loki": "http://loki.monitoring.svc:3100",
        "tempo": "http://tempo.monitoring.svc:3200",
    }
    # The two refer to each other by these identifiers.
    assert {source["uid"] for source in sources} == {"loki", "tempo"}


DIGEST = f"sha256:{'a' * 64}"
SERVERS = {
    *("promotion-receiver", "promotion-worker", "rollout-controller", "drift-collector", "retraining"),
    *("router", "writer"),
}


def declare_processes(environment: str = "dev", **telemetry: Any) -> Recorder:
    """A stack with all of the platform's own processes."""
    settings: dict[str, Any] = {
        "images": dict.fromkeys(("promotion", "experiment", "drift", "training"), DIGEST),
        "gitops": {"repository": "https://git.example.com/acme/models.git"},
        "retraining": {"models": ["churn"]},
    }
    return record_platform(environment, telemetry=telemetry, **settings)


def list_containers(recorder: Recorder) -> dict[str, tuple[Any, Any]]:
    """The containers of the program's Deployments and StatefulSets, and their pods, keyed by name."""
    types = ("kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:StatefulSet")
    pods = [item.inputs["spec"]["template"]["spec"] for type_ in types for item in recorder.of_type(type_)]
    return {each["name"]: (each, pod) for pod in pods for each in pod["containers"] if each["name"] in SERVERS}


def read_environment(container: Any) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"]}


@pytest.mark.parametrize(("environment", "ratio"), [("dev", "1"), ("prod", "0.1")])
def test_every_process_sends_traces_of_a_share_of_its_requests(environment: str, ratio: str) -> None:
    containers = list_containers(declare_processes(environment))
    assert set(containers) == SERVERS
    for container, pod in containers.values():
        variables = read_environment(container)
        assert variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://alloy.monitoring.svc.cluster.local:4318"
        assert variables["OTEL_TRACES_SAMPLER"] == "parentbased_traceidratio"
        assert variables["OTEL_TRACES_SAMPLER_ARG"] == ratio
        assert f"deployment.environment.name={environment}" in variables["OTEL_RESOURCE_ATTRIBUTES"]
        assert "SENTRY_DSN_FILE" not in variables
        assert "error-tracking" not in [volume["name"] for volume in pod["volumes"]]


@pytest.mark.parametrize(("settings", "ratio"), [({"environment": "prod"}, "0.1"), ({"tracePercent": 25}, "0.25")])
def test_models_send_traces_of_the_same_share(settings: dict[str, Any], ratio: str) -> None:
    """The share is in the ConfigMap that the GitOps folder's InferenceServices read."""
    maps = [item.inputs for item in declare_processes(**settings).of_type("kubernetes:core/v1:ConfigMap")]
    (config_map,) = [item for item in maps if item["metadata"]["name"] == "process-telemetry"]
    patch = yaml.safe_load((ROOT / "platform" / "gitops" / "base" / "inference-service.yaml").read_text())
    added = [operation["value"] for operation in patch if operation["path"].endswith("/env/-")]
    references = {each["name"]: each["valueFrom"]["configMapKeyRef"] for each in added if "valueFrom" in each}
    assert {reference["name"] for reference in references.values()} == {config_map["metadata"]["name"]}
    assert config_map["metadata"]["namespace"] == "serving"
    assert config_map["data"][references["OTEL_TRACES_SAMPLER_ARG"]["key"]] == ratio
    assert "groundwork.stack=" in config_map["data"][references["OTEL_RESOURCE_ATTRIBUTES"]["key"]]
    assert all(reference["optional"] for reference in references.values()), "a pod starts without it"
    constant = {each["name"]: each["value"] for each in added if "value" in each}
    assert {name: constant[name] for name in constant.keys() & config_map["data"].keys()} == {
        name: config_map["data"][name] for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER")
    }


def test_errors_are_reported_if_a_setting_names_the_secret() -> None:
    recorder = declare_processes(errorTracking="sentry")
    for container, pod in list_containers(recorder).values():
        assert read_environment(container)["SENTRY_DSN_FILE"] == "/run/secrets/error-tracking/sentry_dsn"
        (mount,) = [each for each in container["volumeMounts"] if each["name"] == "error-tracking"]
        assert mount["readOnly"]
        (volume,) = [each for each in pod["volumes"] if each["name"] == "error-tracking"]
        assert volume["secret"]["optional"], "a process runs without it"
    secrets = [item.inputs for item in recorder.resources if item.inputs.get("kind") == "ExternalSecret"]
    copies = [item for item in secrets if item["metadata"]["name"] == "error-tracking"]
    assert {item["metadata"]["namespace"] for item in copies} == {"lifecycle", "serving"}
    assert {each["remoteRef"]["key"].rpartition("/")[2] for item in copies for each in item["spec"]["data"]} == {
        "sentry"
    }


def test_metrics_link_to_traces(dev: Recorder) -> None:
    chart_values = values(dev, "kube-prometheus-stack")
    prometheus = chart_values["prometheus"]["prometheusSpec"]
    assert "exemplar-storage" in prometheus["enableFeatures"]
    assert prometheus["exemplars"]["maxSize"] > 0
    destination = chart_values["grafana"]["sidecar"]["datasources"]["exemplarTraceIdDestinations"]
    assert destination == {"datasourceUid": "tempo", "traceIdLabelName": "trace_id"}


@pytest.mark.parametrize(
    "line", ['{"level": "info", "trace_id": "4bf92f35", "span_id": "00f0"}', "level=info traceID=4bf92f35 done"]
)
def test_log_lines_link_to_their_trace_and_traces_to_their_lines(dev: Recorder, line: str) -> None:
    sources = {
        source["uid"]: source
        for config_map in dev.of_type("kubernetes:core/v1:ConfigMap")
        if "grafana_datasource" in config_map.inputs["metadata"].get("labels", {})
        for content in config_map.inputs["data"].values()
        for source in json.loads(content)["datasources"]
    }
    (link,) = sources["loki"]["jsonData"]["derivedFields"]
    match = re.search(link["matcherRegex"], line)
    assert match
    assert (match[1], link["datasourceUid"]) == ("4bf92f35", "tempo")
    back = sources["tempo"]["jsonData"]["tracesToLogsV2"]
    assert (back["datasourceUid"], back["filterByTraceID"]) == ("loki", True)
