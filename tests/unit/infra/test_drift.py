"""The collector of the inference log and the nightly check for drift, on a foundation of constant values.

Proves what their pods run and may do, that serving's sink is the collector's Service, and the warning if they are not
deployed. platform/lifecycle proves that the command does what its arguments say.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from infra.cluster.drift import CHECK, COLLECTOR, Drift, DriftArgs
from rehearsal.toolchain import ROOT
from tests.support.recording import Recorder, stack_context
from tests.support.sample_platform import record_components

DIGEST = f"sha256:{'c' * 64}"


def declare(environment: str = "dev", **settings: Any) -> Recorder:
    context = stack_context("azure", environment, **{"images": {"drift": DIGEST}, **settings})

    return record_components(lambda foundation, options: Drift("drift", DriftArgs(context, foundation), options))


@pytest.fixture(scope="module")
def declared() -> Recorder:
    return declare("prod")


def pods(recorder: Recorder) -> dict[str, Any]:
    """The pod templates, keyed by workload."""
    return {
        COLLECTOR.name: recorder.single("kubernetes:apps/v1:Deployment").inputs["spec"]["template"],
        CHECK.name: cron_job(recorder)["jobTemplate"]["spec"]["template"],
    }


def cron_job(recorder: Recorder) -> Any:
    return recorder.single("kubernetes:batch/v1:CronJob").inputs["spec"]


def environment(pod: Any) -> dict[str, str]:
    (container,) = pod["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


def test_both_run_the_image_by_its_digest(declared: Recorder) -> None:
    containers = {name: pod["spec"]["containers"][0] for name, pod in pods(declared).items()}
    assert {one["image"] for one in containers.values()} == {f"registry.example/gw/drift@{DIGEST}"}
    assert {name: one["args"] for name, one in containers.items()} == {
        COLLECTOR.name: ["collect"],
        CHECK.name: ["check", "--all"],
    }


@pytest.mark.parametrize("workload", [COLLECTOR, CHECK], ids=lambda workload: workload.name)
def test_a_pod_is_restricted_and_bounded_and_has_the_identity_of_its_row(declared: Recorder, workload: Any) -> None:
    pod = pods(declared)[workload.name]
    (container,) = pod["spec"]["containers"]
    assert pod["spec"]["serviceAccountName"] == workload.service_account
    assert pod["metadata"]["labels"] == {**workload.pod_labels, "identity": "on"}
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"cpu", "memory"} == set(container["resources"]["requests"])
    assert environment(pod)["DRIFT_STORE"] == "s3://bucket/inferences"
    assert ("MLFLOW_TRACKING_URI" in environment(pod)) is workload.calls_mlflow


def test_the_collector_has_replicas_probes_and_a_disk_for_waiting_events(declared: Recorder) -> None:
    assert declared.single("kubernetes:apps/v1:Deployment").inputs["spec"]["replicas"] == 2
    pod = pods(declared)[COLLECTOR.name]
    (container,) = pod["spec"]["containers"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
    folder = environment(pod)["DRIFT_COLLECT_FOLDER"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == folder]
    assert mount["name"] in {volume["name"] for volume in pod["spec"]["volumes"] if "emptyDir" in volume}
    assert pod["spec"]["topologySpreadConstraints"]
    assert len(declared.of_type("kubernetes:policy/v1:PodDisruptionBudget")) == 1
    assert declare("dev").of_type("kubernetes:policy/v1:PodDisruptionBudget") == []


def test_all_champions_are_checked_at_two_and_one_check_at_a_time(declared: Recorder) -> None:
    spec = cron_job(declared)
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("0 2 * * *", "Etc/UTC", "Forbid")


def test_serving_sends_to_the_collectors_service(declared: Recorder) -> None:
    patches = yaml.safe_load((ROOT / "platform/gitops/base/inference-service.yaml").read_text())
    variables = [one["value"] for one in patches if one["path"].endswith("/containers/0/env/-")]
    values = {each["name"]: each.get("value") for each in variables}  # some come from a ConfigMap
    metadata = declared.single("kubernetes:core/v1:Service").inputs["metadata"]
    host = f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local"
    assert values["INFERENCE_LOG_SINK"] == f"http://{host}/events"
    flows = {(str(flow.client), str(flow.server), flow.port) for flow in Drift.flows}
    assert ("serving/serving", "lifecycle/drift-collector", 8080) in flows


def test_without_an_image_nothing_is_deployed_and_there_is_a_warning(preview_warnings: list[str]) -> None:
    declared = declare(images={})
    assert declared.of_type("kubernetes:apps/v1:Deployment") == []
    assert any("images.drift is not set. Build platform/lifecycle/images/drift" in text for text in preview_warnings)
