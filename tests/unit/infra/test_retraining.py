"""Continuous training on a foundation of constant values: the service, what it may do, the runs' Job and the schedule.

Proves what the pods run and may do, who reaches the service, that alerts, the check for drift and the schedule call it
with its token, and the warning if it is not deployed. tests/cluster/test_retraining.py proves that the service starts
Jobs from this template; platform/lifecycle proves its decisions.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pulumi
import pytest
import yaml

from infra.access import RETRAINING, get_workload
from infra.cluster.alert_receivers import build_configuration, mount_secrets
from infra.cluster.drift import CHECK, Drift, DriftArgs
from infra.cluster.network_policies import list_flows
from infra.cluster.retraining import RULES, SERVER, Retraining, RetrainingArgs
from infra.cluster.retraining_access import ALERTS, TOKEN_KEY, TOKEN_SECRET, URL
from infra.contract import Foundation
from rehearsal.toolchain import ROOT
from tests.support.alert_rules import list_alerts
from tests.support.foundations import sample_foundation
from tests.support.recording import Recorder, stack_context
from tests.support.sample_platform import record_components

DIGEST = f"sha256:{'c' * 64}"
SETTINGS: dict[str, Any] = {
    "images": {"promotion": DIGEST, "drift": DIGEST, "training": DIGEST},
    "retraining": {"models": ["churn", "fraud"], "scheduled": ["churn"]},
}
SECRET = "kubernetes:core/v1:Secret"


def declare(environment: str = "prod", **settings: Any) -> Recorder:
    context = stack_context("azure", environment, **{**SETTINGS, **settings})

    def create(foundation: Foundation, options: pulumi.ResourceOptions) -> None:
        Retraining("retraining", RetrainingArgs(context, foundation), options)
        Drift("drift", DriftArgs(context, foundation), options)

    return record_components(create)


@pytest.fixture(scope="module")
def declared() -> Recorder:
    return declare()


def find(recorder: Recorder, kind: str, name: str) -> Any:
    (match,) = [item.inputs for item in recorder.of_type(kind) if item.inputs["metadata"]["name"] == name]
    return match


def service_pod(recorder: Recorder) -> Any:
    return find(recorder, "kubernetes:apps/v1:Deployment", "retraining")["spec"]["template"]


def schedule(recorder: Recorder) -> Any:
    return find(recorder, "kubernetes:batch/v1:CronJob", "retraining-schedule")["spec"]


def schedule_pod(recorder: Recorder) -> Any:
    return schedule(recorder)["jobTemplate"]["spec"]["template"]


def template(recorder: Recorder) -> Any:
    config_map = find(recorder, "kubernetes:core/v1:ConfigMap", "retraining-job")
    return json.loads(config_map["data"]["job.json"])


def environment(pod: Any) -> dict[str, str]:
    (container,) = pod["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


def files(pod: Any, folder: str) -> set[str]:
    """The sources of a pod's volume at a folder."""
    (container,) = pod["spec"]["containers"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == folder]
    (volume,) = [volume for volume in pod["spec"]["volumes"] if volume["name"] == mount["name"]]
    sources = volume.get("projected", {}).get("sources", [volume])
    return {
        source.get("secret", {}).get("name") or source.get("secret", {}).get("secretName") or next(iter(source))
        for source in sources
    }


def test_service_and_schedule_run_the_promotions_image_by_its_digest(declared: Recorder) -> None:
    containers = [pod["spec"]["containers"][0] for pod in (service_pod(declared), schedule_pod(declared))]
    assert {one["image"] for one in containers} == {f"registry.example/gw/promotion@{DIGEST}"}
    arguments = [one["args"] for one in containers]
    assert arguments == [["lifecycle.retraining", "serve"], ["lifecycle.retraining", "schedule"]]
    for pod in (service_pod(declared), schedule_pod(declared)):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_the_service_has_replicas_probes_and_a_monitor(declared: Recorder) -> None:
    pod = service_pod(declared)
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= pod["spec"]["containers"][0].keys()
    assert pod["spec"]["topologySpreadConstraints"]
    budgets = [item.inputs["metadata"]["name"] for item in declared.of_type("kubernetes:policy/v1:PodDisruptionBudget")]
    assert "retraining" in budgets
    monitor = next(item.inputs for item in declared.resources if item.name == "retraining-monitor")
    service = find(declared, "kubernetes:core/v1:Service", "retraining")
    assert monitor["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"] == dict(SERVER.labels)
    assert f"http://{service['metadata']['name']}.{service['metadata']['namespace']}.svc.cluster.local" == URL
    single = declare("dev").of_type("kubernetes:policy/v1:PodDisruptionBudget")
    assert single == []


def test_only_the_service_has_a_token_of_the_kubernetes_api(declared: Recorder) -> None:
    text = {
        name: json.dumps(pod) for name, pod in (("service", service_pod(declared)), ("cron", schedule_pod(declared)))
    }
    assert "serviceAccountToken" in text["service"]
    assert "serviceAccountToken" not in text["cron"]
    folder = environment(service_pod(declared))["RETRAINING_API_CREDENTIALS"]
    assert files(service_pod(declared), folder) == {"serviceAccountToken", "configMap"}


def test_the_role_allows_what_a_run_needs_only_in_the_namespace_of_runs(declared: Recorder) -> None:
    role = find(declared, "kubernetes:rbac.authorization.k8s.io/v1:Role", "retraining")
    assert role["metadata"]["namespace"] == "training"
    allowed = {(resource, verb) for rule in RULES for resource in rule["resources"] for verb in rule["verbs"]}
    assert allowed == {("jobs", "create"), ("jobs", "list"), ("jobs", "patch"), ("pods", "list")}
    assert role["rules"] == [*RULES]
    binding = find(declared, "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", "retraining")
    assert binding["metadata"]["namespace"] == "training"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "retraining", "namespace": "lifecycle"}]
    assert declared.of_type("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole") == []
    accounts = [item.inputs["metadata"] for item in declared.of_type("kubernetes:core/v1:ServiceAccount")]
    (account,) = [one for one in accounts if one["name"] == RETRAINING.service_account]
    assert "annotations" not in account, "it has no identity in the cloud"


def test_a_run_has_trainings_identity_and_image_and_no_retries(declared: Recorder) -> None:
    job, training = template(declared), get_workload("training")
    pod = job["spec"]["template"]
    assert job["metadata"]["namespace"] == training.namespace
    assert pod["spec"]["serviceAccountName"] == training.service_account
    assert pod["metadata"]["labels"].items() >= {"identity": "on"}.items()
    (container,) = pod["spec"]["containers"]
    assert container["image"] == f"registry.example/gw/training@{DIGEST}"
    assert container["args"] == ["run", "--report", container["terminationMessagePath"]]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert (job["spec"]["backoffLimit"], pod["spec"]["restartPolicy"]) == (0, "Never")
    assert (
        environment(pod).items()
        >= {
            "TRAINING_EXPERIMENT": "$(TRAINING_MODEL)",
            "TRAINING_SOURCE": "remote:$(TRAINING_MODEL).csv",
            "TRAINING_DATA_REMOTE": "s3://bucket/mlflow/data",
            "REGION": "here",
        }.items()
    )


def test_the_service_is_configured_by_the_settings(declared: Recorder) -> None:
    variables = environment(service_pod(declared))
    assert (variables["RETRAINING_MODELS"], variables["RETRAINING_SCHEDULED"]) == ("churn,fraud", "churn")
    assert variables["RETRAINING_COOL_DOWN_HOURS"] == "20"
    assert variables["RETRAINING_RUN_URL"].startswith("https://mlflow.")
    documented = (ROOT / "docs" / "lifecycle-settings.md").read_text()
    assert {name for name in variables if name.startswith("RETRAINING_") and f"`{name}`" not in documented} == set()


def test_the_schedule_runs_at_two_and_one_run_at_a_time(declared: Recorder) -> None:
    spec = schedule(declared)
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("0 2 * * *", "Etc/UTC", "Forbid")
    assert spec["suspend"] is False
    assert environment(schedule_pod(declared))["RETRAINING_URL"] == URL
    assert schedule(declare(retraining={"models": ["churn"]}))["suspend"] is True


def test_every_client_that_requests_runs_has_the_token(declared: Recorder) -> None:
    secrets = [item.inputs for item in declared.of_type(SECRET) if item.inputs["metadata"]["name"] == TOKEN_SECRET]
    assert {one["metadata"]["namespace"] for one in secrets} == {"lifecycle", "monitoring", "training"}
    assert len({json.dumps(one["stringData"]) for one in secrets}) == 1
    for pod in (service_pod(declared), schedule_pod(declared)):
        assert TOKEN_SECRET in files(pod, environment(pod)["PROMOTION_SECRETS_DIR"])


def test_the_check_for_drift_sends_its_event_with_the_token(declared: Recorder) -> None:
    cron = find(declared, "kubernetes:batch/v1:CronJob", CHECK.name)
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]
    assert environment(pod)["DRIFT_EVENT_SINK"] == f"{URL}/events"
    assert files(pod, environment(pod)["PROMOTION_SECRETS_DIR"]) == {TOKEN_SECRET}
    without = find(declare(retraining={}), "kubernetes:batch/v1:CronJob", CHECK.name)
    assert TOKEN_SECRET not in json.dumps(without)
    assert "DRIFT_EVENT_SINK" not in json.dumps(without)


def test_alerts_that_start_a_retraining_go_to_the_service_and_to_people() -> None:
    settings = stack_context("azure", "prod", alerting={"slack": "a", "pagerduty": "b"}, **SETTINGS).settings
    configuration = build_configuration(settings)
    route = next(one for one in configuration["route"]["routes"] if one["receiver"] == "retraining")
    assert route["continue"] is True
    (matcher,) = route["matchers"]
    names = re.fullmatch(r'alertname=~"(.+)"', matcher)
    assert names
    assert set(names[1].split("|")) == set(ALERTS)
    (receiver,) = [one for one in configuration["receivers"] if one["name"] == "retraining"]
    (call,) = receiver["webhook_configs"]
    assert (call["url"], call["send_resolved"]) == (f"{URL}/alerts", False)
    mounts = {mount["name"]: mount["mountPath"] for mount in mount_secrets(settings)["volumeMounts"]}
    file = call["http_config"]["authorization"]["credentials_file"]
    assert file == f"{mounts[TOKEN_SECRET]}/{TOKEN_KEY}"


def test_these_alerts_exist_and_name_a_model() -> None:
    rules = {rule["alert"]: rule["expr"] for rule in list_alerts()}
    assert set(ALERTS) <= set(rules)
    assert all(re.search(r"by \([^)]*\bmodel\b", rules[name]) for name in ALERTS)


def test_without_retraining_alertmanager_does_not_call_it() -> None:
    settings = stack_context("azure", "prod", alerting={"slack": "a"}).settings
    assert "retraining" not in yaml.safe_dump([build_configuration(settings), mount_secrets(settings)])


def test_only_its_clients_reach_the_service() -> None:
    flows = [flow for flow in list_flows(Retraining.flows, sample_foundation()) if flow.server == SERVER]
    assert {str(flow.client) for flow in flows} == {
        "monitoring/alertmanager",
        "lifecycle/drift-check",
        "lifecycle/retraining-schedule",
        "training/*",
    }
    assert {str(flow.server) for flow in Retraining.flows if flow.client == SERVER} == {
        "API server",
        "Internet",
        "private network",
    }


def list_objects(recorder: Recorder) -> list[str]:
    return [
        one.name for one in recorder.resources if "retraining" in one.name and not one.type.startswith("groundwork")
    ]


@pytest.mark.parametrize("missing", ["promotion", "training"])
def test_without_an_image_nothing_is_deployed_and_there_is_a_warning(preview_warnings: list[str], missing: str) -> None:
    images = {name: digest for name, digest in SETTINGS["images"].items() if name != missing}
    assert list_objects(declare(images=images)) == []
    assert any(f"No model is retrained: images.{missing} is not set." in text for text in preview_warnings)


def test_without_models_nothing_is_deployed_and_there_is_no_warning(preview_warnings: list[str]) -> None:
    assert list_objects(declare(retraining={})) == []
    assert preview_warnings == []
