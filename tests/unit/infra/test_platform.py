"""The platform in the cluster, on a foundation of constant values: it depends only on the contract.

Proves what is declared and how it is connected; every object is validated against the Kubernetes schemas. If
GROUNDWORK_CHARTS names a folder with the charts, Helm values are validated against the charts' schemas as well.
"""

from __future__ import annotations

import base64
import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any

import pytest
import uvicorn

from infra import cluster
from infra.access import WORKLOADS
from infra.cluster import namespaces
from infra.cluster.namespaces import DEVICE_PLUGIN, DEVICE_PLUGIN_PROFILE, PIPELINES_PROFILES, PROFILES
from infra.contract import define_gpu_pool
from infra.core.settings.sections import GpuPoolSettings
from rehearsal.simulator.offline_kubernetes import RELEASE
from tests.support.foundations import PORTS, sample_foundation
from tests.support.recording import Recorder, record_program, stack_context
from tests.support.sample_platform import record_platform

pytestmark = pytest.mark.slow

SECRET = "kubernetes:core/v1:Secret"
ADMISSION_POLICY = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


ALL_PROFILES = {**PROFILES, **PIPELINES_PROFILES, DEVICE_PLUGIN: DEVICE_PLUGIN_PROFILE}
# All optional parts of a stack.
SETTINGS: Any = {
    "gitops": {"repository": "https://git.example.com/acme/models.git"},
    "pipelines": {"enabled": True},
}


@pytest.fixture(scope="module")
def platform() -> Recorder:
    context = stack_context("azure", **SETTINGS)
    pool = define_gpu_pool(GpuPoolSettings(size="gpu.large", maximum=1), ("a",))
    recorder, _ = record_program(lambda: cluster.create_platform(context, sample_foundation(pool)))
    return recorder


def policies(platform: Recorder, namespace: str) -> dict[str, Any]:
    objects = [item.inputs for item in platform.of_type(NETWORK_POLICY)]
    return {item["metadata"]["name"]: item["spec"] for item in objects if item["metadata"]["namespace"] == namespace}


def values(platform: Recorder, chart: str) -> Any:
    (release,) = [item.inputs for item in platform.of_type(RELEASE) if item.inputs["chart"].rpartition("/")[2] == chart]
    return release["values"]


def test_images_come_from_the_stacks_registry_and_those_of_its_setting_and_of_the_charts() -> None:
    recorder = record_platform(images={"registries": ["mirror.example.com/ml/*"]})
    specs = {item.name: str(item.inputs["spec"]) for item in recorder.of_type(ADMISSION_POLICY)}
    naming_registries = {name for name, spec in specs.items() if "ghcr" in spec}
    assert naming_registries == {"k8s-pod-image-registry", "k8s-inference-service-image-registry"}
    for name in naming_registries:
        assert r"registry\\.example/.*|" in specs[name]
        assert r"mirror\\.example\\.com/ml/.*)" in specs[name]
        assert "azurecr" not in specs[name]  # of anybody's


@pytest.mark.parametrize("namespace", ALL_PROFILES)
def test_every_namespace_denies_traffic_by_default_and_has_limits_and_labels(
    platform: Recorder, namespace: str
) -> None:
    default = policies(platform, namespace)["default"]
    assert default["podSelector"] == {}
    assert default["policyTypes"] == ["Ingress", "Egress"]
    # An empty list of peers or no ports would allow everything.
    assert all(rule["from"] for rule in default["ingress"])
    assert all(rule["to"] and rule["ports"] for rule in default["egress"])
    labels = next(
        item.inputs["metadata"]["labels"]
        for item in platform.of_type("kubernetes:core/v1:Namespace")
        if item.name == namespace
    )
    assert labels["pod-security.kubernetes.io/enforce"] == ALL_PROFILES[namespace].level
    for kind in ("ResourceQuota", "LimitRange"):
        inside = [item.inputs["metadata"]["namespace"] for item in platform.of_type(f"kubernetes:core/v1:{kind}")]
        assert inside.count(namespace) == 1


def test_a_workload_in_a_namespace_without_a_profile_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    stray = dataclasses.replace(WORKLOADS[0], name="scoring", namespace="batch")
    monkeypatch.setattr(namespaces, "WORKLOADS", (*WORKLOADS, stray))
    with pytest.raises(ValueError, match="'scoring' is in the namespace 'batch', which has no profile: add one"):
        record_program(lambda: namespaces.Namespaces("namespaces", namespaces.NamespacesArgs({}, {})))


def test_only_pods_that_mount_folders_of_their_node_are_privileged() -> None:
    privileged = {name for name, profile in ALL_PROFILES.items() if profile.level == "privileged"}
    assert privileged == {"node-exporter", "nvidia-device-plugin"}


def test_limit_ranges_set_requests_and_no_limit_but_memory(platform: Recorder) -> None:
    limits = [item.inputs["spec"]["limits"][0] for item in platform.of_type("kubernetes:core/v1:LimitRange")]
    assert all(set(limit["default"]) == {"memory"} for limit in limits)
    assert all(set(limit["defaultRequest"]) == {"cpu", "memory"} for limit in limits)
    assert not any("max" in limit for limit in limits)  # it would become the default limit


@pytest.mark.parametrize("workload", [one for one in WORKLOADS if one.needs], ids=lambda workload: workload.name)
def test_a_workload_reaches_the_stores_of_its_row_and_no_others(platform: Recorder, workload: Any) -> None:
    policy = policies(platform, workload.namespace)[workload.name if workload.pod_labels else "default"]
    assert policy["podSelector"] == ({"matchLabels": workload.pod_labels} if workload.pod_labels else {})
    rules = [rule for rule in policy["egress"] if "ipBlock" in rule["to"][0]]
    reached = {(rule["to"][0]["ipBlock"]["cidr"], rule["ports"][0]["port"]) for rule in rules}
    stores = {(cidr, port) for cidr, port in reached if cidr.startswith("10.9.")}
    assert stores == {(f"10.9.{PORTS[store] % 256}.0/24", PORTS[store]) for store in workload.needs}


def test_the_gateway_closes_idle_connections_before_the_servers_do(platform: Recorder) -> None:
    kind = "BackendTrafficPolicy"
    (spec,) = [item.inputs["spec"] for item in platform.resources if item.inputs.get("kind") == kind]
    seconds = int(spec["timeout"]["http"]["connectionIdleTimeout"].removesuffix("s"))
    assert seconds < inspect.signature(uvicorn.Config).parameters["timeout_keep_alive"].default
    assert [target["kind"] for target in spec["targetRefs"]] == ["Gateway"]


def test_workloads_that_share_a_namespace_are_distinguished_by_labels() -> None:
    for workload in WORKLOADS:
        shares = [one for one in WORKLOADS if one.namespace == workload.namespace and one != workload]
        assert not shares or workload.pod_labels, workload.name
        assert all(one.pod_labels != workload.pod_labels for one in shares)


@pytest.mark.parametrize(("environment", "policy"), [("dev", "Delete"), ("prod", "Retain")])
def test_volumes_are_of_the_platforms_storage_class(environment: str, policy: str) -> None:
    recorder = record_platform(environment)
    (declared,) = [item.inputs for item in recorder.of_type("kubernetes:storage.k8s.io/v1:StorageClass")]
    assert (declared["provisioner"], declared["parameters"]) == ("disks.example", {"key": "k"})
    assert (declared["reclaimPolicy"], declared["allowVolumeExpansion"]) == (policy, True)
    assert declared["volumeBindingMode"] == "WaitForFirstConsumer"
    request = recorder.requests["kubernetes:storage.k8s.io/v1:StorageClass", "storage"]
    assert list(request.replaceOnChanges) == ["reclaimPolicy"], "Kubernetes rejects a change of it"
    assert request.deleteBeforeReplace, "both have one name"
    text = str(values(recorder, "kube-prometheus-stack"))
    assert text.count("'storageClassName'") == text.count(f"'storageClassName': '{declared['metadata']['name']}'") == 2


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_workload_has_its_service_account(platform: Recorder, workload: Any) -> None:
    (account,) = [
        item.inputs
        for item in platform.of_type("kubernetes:core/v1:ServiceAccount")
        if item.inputs["metadata"]["name"] == workload.service_account
    ]
    assert account["metadata"]["namespace"] == workload.namespace
    assert account["metadata"]["annotations"] == {"role": workload.name, "groundwork/principal": workload.name}
    assert account["automountServiceAccountToken"] is False


def test_mlflow_uses_the_foundation(platform: Recorder) -> None:
    mlflow = values(platform, "mlflow")
    assert mlflow["backendStore"]["postgres"]["host"] == "db.example"
    assert mlflow["artifactRoot"]["defaultArtifactRoot"] == "s3://bucket/mlflow"
    assert mlflow["extraEnvVars"]["REGION"] == "here"
    assert mlflow["extraPodLabels"] == {"identity": "on"}
    assert mlflow["serviceAccount"] == {"create": False, "name": "mlflow"}


def test_mlflow_calls_webhooks_in_the_cluster_with_a_generated_key(platform: Recorder) -> None:
    mlflow = values(platform, "mlflow")
    assert mlflow["extraEnvVars"]["MLFLOW_WEBHOOK_ALLOWED_SCHEMES"] == "http"
    (name,) = mlflow["extraSecretNamesForEnvFrom"]
    (secret,) = (item.inputs for item in platform.of_type(SECRET) if item.inputs["metadata"]["name"] == name)
    (key,) = secret["stringData"].values()
    assert len(base64.urlsafe_b64decode(key)) == 32, "a key of Fernet"


def test_only_secrets_contain_passwords(platform: Recorder) -> None:
    holders = [item.type for item in platform.resources if "hunter2" in str(item.inputs)]
    assert holders == ["kubernetes:core/v1:Secret"]
    grafana = values(platform, "kube-prometheus-stack")["grafana"]
    secrets = {item.inputs["metadata"]["name"] for item in platform.of_type("kubernetes:core/v1:Secret")}
    assert grafana["admin"]["existingSecret"] in secrets
    assert values(platform, "mlflow")["backendStore"]["existingDatabaseSecret"]["name"] in secrets


def test_prometheus_selects_the_monitors_of_every_release(platform: Recorder) -> None:
    spec = values(platform, "kube-prometheus-stack")["prometheus"]["prometheusSpec"]
    ignored = [name for name, value in spec.items() if name.endswith("NilUsesHelmValues") and value]
    assert ignored == []
    assert len([name for name in spec if name.endswith("NilUsesHelmValues")]) == 5


def test_models_mount_no_token_of_the_api_server_by_default(platform: Recorder) -> None:
    assert values(platform, "kserve-resources")["kserve"]["security"] == {"autoMountServiceAccountToken": False}


def test_grafana_makes_no_calls_to_the_internet(platform: Recorder) -> None:
    configuration = values(platform, "kube-prometheus-stack")["grafana"]["grafana.ini"]
    assert not any(configuration["analytics"].values())
    assert configuration["news"]["news_feed_enabled"] is False
    assert configuration["plugins"]["preinstall_disabled"] is True
    assert configuration["security"]["disable_gravatar"] is True


def test_the_disk_of_metrics_has_room_for_their_retention() -> None:
    for environment, size, limit in (("dev", "20Gi", "16GiB"), ("prod", "60Gi", "48GiB")):
        spec = values(record_platform(environment), "kube-prometheus-stack")["prometheus"]["prometheusSpec"]
        claim = spec["storageSpec"]["volumeClaimTemplate"]["spec"]
        assert (claim["resources"]["requests"]["storage"], spec["retentionSize"]) == (size, limit)


@pytest.mark.parametrize(("environment", "replicas"), [("dev", 1), ("staging", 2), ("prod", 2)])
def test_only_dev_has_single_replicas(environment: str, replicas: int) -> None:
    recorder = record_platform(environment)
    monitoring = values(recorder, "kube-prometheus-stack")
    numbers: Sequence[int] = [
        values(recorder, "mlflow")["replicaCount"],
        monitoring["prometheus"]["prometheusSpec"]["replicas"],
        monitoring["alertmanager"]["alertmanagerSpec"]["replicas"],
        monitoring["grafana"]["replicas"],
    ]
    assert set(numbers) == {replicas}


def test_the_replicas_of_mlflow_are_evicted_one_at_a_time() -> None:
    """Only in production: a budget for a single replica would prevent its node from being drained."""

    def list_budgets(environment: str) -> list[Any]:
        budgets = record_platform(environment).of_type("kubernetes:policy/v1:PodDisruptionBudget")
        return [each.inputs["spec"] for each in budgets if each.inputs["metadata"]["namespace"] == "mlflow"]

    (budget,) = list_budgets("prod")
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": "mlflow"}}}
    assert list_budgets("dev") == []
