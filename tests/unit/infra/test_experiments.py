"""The router of experiments, its writer and the decisions in the cluster, on a foundation of constant values.

Proves what their pods run, mount and may do, whom the gateway admits to which paths, and the warning if they are not
deployed. Not proven here: that the processes start like this; platform/lifecycle runs both with the same variables.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from infra.cluster.experiments import ROUTER, Experiments, ExperimentsArgs
from infra.cluster.gitops import EXPERIMENT_KINDS, build_projects, build_root_application
from infra.people import Service
from rehearsal.toolchain import ROOT
from tests.support.recording import Recorder, stack_context
from tests.support.sample_platform import record_components
from tests.unit.infra.test_sign_in import SSO

DIGEST = f"sha256:{'b' * 64}"
HOST = "experiments.ml.example.com"
STATEFUL_SET, CRON_JOB = "kubernetes:apps/v1:StatefulSet", "kubernetes:batch/v1:CronJob"


def declare(environment: str = "dev", **settings: Any) -> Recorder:
    settings = {"images": {"experiment": DIGEST}, "gateway": {"domain": "ml.example.com"}, **settings}
    context = stack_context("azure", environment, **settings)

    return record_components(
        lambda foundation, options: Experiments("experiments", ExperimentsArgs(context, foundation), options)
    )


@pytest.fixture(scope="module")
def declared() -> Recorder:
    return declare("prod")


def stateful_set(recorder: Recorder) -> Any:
    return recorder.single(STATEFUL_SET).inputs["spec"]


def containers(recorder: Recorder) -> dict[str, Any]:
    return {one["name"]: one for one in stateful_set(recorder)["template"]["spec"]["containers"]}


def environment(container: Any) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


def test_router_and_writer_run_one_image_by_its_digest_in_one_pod(declared: Recorder) -> None:
    processes = containers(declared)
    assert {name: one["args"] for name, one in processes.items()} == {"router": ["serve"], "writer": ["write"]}
    assert {one["image"] for one in processes.values()} == {f"registry.example/gw/experiment@{DIGEST}"}
    assert stateful_set(declared)["replicas"] == 2
    (budget,) = declared.of_type("kubernetes:policy/v1:PodDisruptionBudget")
    assert budget.inputs["spec"]["selector"]["matchLabels"] == dict(ROUTER.labels)
    assert declare("dev").of_type("kubernetes:policy/v1:PodDisruptionBudget") == []


def test_both_share_the_spool_on_a_volume_that_outlives_the_pod(declared: Recorder) -> None:
    (claim,) = stateful_set(declared)["volumeClaimTemplates"]
    assert claim["spec"]["resources"] == {"requests": {"storage": "1Gi"}}
    assert claim["spec"]["storageClassName"] == "groundwork"
    for container in containers(declared).values():
        (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == claim["metadata"]["name"]]
        variables = environment(container)
        assert variables["EXPERIMENT_FOLDER"] == mount["mountPath"]
        assert int(variables["EXPERIMENT_SPOOL_MAX_BYTES"]) < 1 << 30


def test_only_the_writer_has_the_store_and_its_retention(declared: Recorder) -> None:
    router, writer = (environment(containers(declared)[name]) for name in ("router", "writer"))
    assert "EXPERIMENT_STORE" not in router
    assert writer["EXPERIMENT_STORE"] == "dynamodb://e"
    assert writer["EXPERIMENT_RETENTION_DAYS"] == "365"
    assert writer["REGION"] == "here"


def test_the_experiments_may_be_synced_after_the_router_has_started(declared: Recorder) -> None:
    volumes = {volume["name"]: volume for volume in stateful_set(declared)["template"]["spec"]["volumes"]}
    assert volumes["experiments"]["configMap"] == {"name": "experiments", "optional": True}
    (mount,) = [one for one in containers(declared)["router"]["volumeMounts"] if one["name"] == "experiments"]
    assert environment(containers(declared)["router"])["EXPERIMENT_FILE"] == f"{mount['mountPath']}/experiments.yaml"
    assert "subPath" not in mount, "the kubelet does not update such a mount"


@pytest.mark.parametrize("name", ["router", "writer"])
def test_a_container_is_restricted_probed_and_bounded(declared: Recorder, name: str) -> None:
    container = containers(declared)[name]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} == set(container["resources"]["requests"])
    assert {probe: container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")} == {
        "livenessProbe": "/health",
        "readinessProbe": "/ready",
    }
    spec = stateful_set(declared)["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["serviceAccountName"] == "experiment-router"
    assert stateful_set(declared)["template"]["metadata"]["labels"]["identity"] == "on"


def test_a_service_does_not_wait_for_itself(declared: Recorder) -> None:
    """Pulumi's Service is ready once its pods are ready, so the pods must not depend on it."""
    before = declared.list_dependencies(STATEFUL_SET, "experiment-router")
    assert ("kubernetes:core/v1:Service", "experiment-router") not in before
    assert ("kubernetes:core/v1:Secret", "user-id-key") in before


def routes(recorder: Recorder) -> dict[str, list[tuple[str, str]]]:
    inputs = [item.inputs for item in recorder.resources if item.inputs.get("kind") == "HTTPRoute"]
    assert {host for route in inputs for host in route["spec"]["hostnames"]} == {HOST}
    return {
        route["metadata"]["name"]: [
            (match["path"]["type"], match["path"]["value"]) for match in route["spec"]["rules"][0]["matches"]
        ]
        for route in inputs
    }


def policies(recorder: Recorder) -> dict[str, Any]:
    specs = [item.inputs["spec"] for item in recorder.resources if item.inputs.get("kind") == "SecurityPolicy"]
    return {spec["targetRefs"][0]["name"]: spec for spec in specs}


def test_everything_but_predictions_requires_a_generated_password(declared: Recorder) -> None:
    assert routes(declared) == {
        "experiments": [("PathPrefix", "/v2/models")],
        "experiments-api": [("PathPrefix", "/ab-test")],
        "experiments-outcomes": [("Exact", "/ab-test/outcomes")],
    }
    specs = policies(declared)
    assert specs.keys() == {"experiments-api", "experiments-outcomes"}
    assert {spec["basicAuth"]["users"]["name"] for spec in specs.values()} == {"experiments-passwords"}
    for name in specs:
        before = declared.list_dependencies("kubernetes:gateway.networking.k8s.io/v1:HTTPRoute", f"{name}-route")
        assert f"{name}-sign-in" in {other for _, other in before}


def test_with_an_issuer_people_sign_in_and_programs_keep_the_password() -> None:
    declared = declare(sso=SSO)
    assert ("PathPrefix", "/oauth2") in routes(declared)["experiments-api"]
    specs = policies(declared)
    assert specs["experiments-outcomes"]["basicAuth"]
    api = specs["experiments-api"]
    assert api["oidc"]["redirectURL"] == f"https://{HOST}/oauth2/callback"
    reading = [rule for rule in api["authorization"]["rules"] if "operation" in rule]
    assert [rule["operation"] for rule in reading] == [{"methods": ["GET", "HEAD"]}], "viewers only look"


def cron_job(recorder: Recorder) -> Any:
    return recorder.single(CRON_JOB).inputs["spec"]


def test_decisions_run_one_at_a_time_without_retries(declared: Recorder) -> None:
    job = cron_job(declared)
    assert (job["schedule"], job["concurrencyPolicy"]) == ("*/15 * * * *", "Forbid")
    spec = job["jobTemplate"]["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] > 0
    assert spec["template"]["spec"]["serviceAccountName"] == "experiments-decide"
    assert spec["template"]["metadata"]["labels"]["identity"] == "on"


def test_decisions_read_what_the_router_reads_and_the_writer_writes(declared: Recorder) -> None:
    pod = cron_job(declared)["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == ["decide", "--all"]
    assert container["image"] == f"registry.example/gw/experiment@{DIGEST}"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"cpu", "memory"} == set(container["resources"]["requests"])
    variables = environment(container)
    router, writer = (environment(containers(declared)[name]) for name in ("router", "writer"))
    assert variables["EXPERIMENT_FILE"] == router["EXPERIMENT_FILE"]
    assert variables["EXPERIMENT_STORE"] == writer["EXPERIMENT_STORE"]
    assert variables["MLFLOW_TRACKING_URI"] == "http://mlflow.mlflow.svc.cluster.local"
    assert variables["GITOPS_STACK"] == "azure-prod"
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["experiments"]["configMap"] == {"name": "experiments", "optional": True}


def test_decisions_are_notified_if_a_stack_has_an_address(declared: Recorder) -> None:
    assert [one for one in declared.resources if one.inputs.get("kind") == "ExternalSecret"] == []
    notified = declare(lifecycle={"notifications": "slack"})
    (secret,) = [one for one in notified.resources if one.inputs.get("kind") == "ExternalSecret"]
    assert secret.inputs["spec"]["data"] == [{"secretKey": "notify_slack_url", "remoteRef": {"key": "gw/slack"}}]
    pod = cron_job(notified)["jobTemplate"]["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["secrets"]["secret"]["secretName"] == secret.inputs["metadata"]["name"]
    assert secret.inputs["metadata"]["namespace"] == "serving"
    (mount,) = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "secrets"]
    assert environment(pod["containers"][0])["PROMOTION_SECRETS_DIR"] == mount["mountPath"]


def test_the_gateway_reaches_the_router_and_the_router_the_models() -> None:
    flows = {(str(flow.client), str(flow.server), flow.port) for flow in Experiments.flows}
    assert ("gateway/proxies", "serving/experiment-router", 8000) in flows
    assert ("serving/experiment-router", "serving/serving", 8000) in flows


def test_without_an_image_there_is_only_the_key_that_serving_needs_and_a_warning(preview_warnings: list[str]) -> None:
    declared = declare(images={})
    assert declared.of_type(STATEFUL_SET) == []
    assert declared.of_type(CRON_JOB) == []
    assert [one.name for one in declared.of_type("kubernetes:core/v1:Secret")] == ["user-id-key"]
    assert any(
        "images.experiment is not set. Build platform/lifecycle/images/experiment" in text for text in preview_warnings
    )


def test_no_pod_has_the_value_of_a_secret(declared: Recorder) -> None:
    keys = {item.outputs["result"] for item in declared.of_type("random:index/randomPassword:RandomPassword")}
    assert keys
    for item in declared.resources:
        if item.type.startswith("kubernetes:") and item.type != "kubernetes:core/v1:Secret":
            assert not [key for key in keys if key in str(item.inputs)]


def test_experiments_are_applied_from_the_folder_of_the_stack() -> None:
    repository = {"repository": "https://git.example.com/acme/models.git"}
    settings = stack_context("azure", images={"experiment": DIGEST}, gitops=repository).settings
    (project,) = [one for one in build_projects(settings) if one["metadata"]["name"] == "experiments"]
    allowed = {(item["group"], item["kind"]) for item in project["spec"]["namespaceResourceWhitelist"]}
    assert allowed == {(kind.group, kind.kind) for kind in EXPERIMENT_KINDS}
    kustomize = build_root_application(settings, "azure-dev")["spec"]["source"]["kustomize"]
    assert kustomize["components"] == ["experiments"]
    (patch,) = [one for one in kustomize["patches"] if one["target"].get("name") == "experiments"]
    assert '"/spec/source/path", "value": "stacks/azure-dev/experiments"' in patch["patch"]
    without = stack_context("azure", gitops=repository).settings
    assert "components" not in build_root_application(without, "azure-dev")["spec"]["source"]["kustomize"]


def test_no_model_can_have_the_name_of_a_service() -> None:
    """Its route would have the same host. The package is in another environment, so the test reads its source."""
    source = (ROOT / "platform/lifecycle/src/lifecycle/gitops/manifests.py").read_text()
    (names,) = re.findall(r"^SERVICE_NAMES = \((.*)\)$", source, re.MULTILINE)
    assert set(re.findall(r'"([a-z]+)"', names)) == {service.value for service in Service}
