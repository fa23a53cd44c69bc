"""The promotion's and the rollout's processes in the cluster, on a foundation of constant values.

Proves what their pods run, read and may do, that no value of a secret is in them, and the warning if they cannot be
deployed. The rehearsed model lifecycle proves that the processes start like this.
"""

from __future__ import annotations

from typing import Any

import pytest

from infra.cluster.lifecycle import CONTROLLER, RECEIVER, WORKER, Lifecycle, LifecycleArgs
from infra.cluster.mlflow import SERVER
from kernel.annotations import SETTING
from tests.support.recording import Recorder, stack_context
from tests.support.sample_platform import record_components

DIGEST = f"sha256:{'a' * 64}"
NEEDED = {"images": {"promotion": DIGEST}, "gitops": {"repository": "https://git.example.com/acme/models.git"}}


def declare(environment: str = "dev", **settings: Any) -> Recorder:
    context = stack_context("azure", environment, **{**NEEDED, **settings})

    return record_components(
        lambda foundation, options: Lifecycle("lifecycle", LifecycleArgs(context, foundation), options)
    )


@pytest.fixture(scope="module")
def declared() -> Recorder:
    return declare("prod")


def deployments(recorder: Recorder) -> dict[str, Any]:
    objects = [item.inputs for item in recorder.of_type("kubernetes:apps/v1:Deployment")]
    return {item["metadata"]["name"]: item["spec"] for item in objects}


def pod(recorder: Recorder, name: str) -> Any:
    return deployments(recorder)[name]["template"]["spec"]


def environment(recorder: Recorder, name: str) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in pod(recorder, name)["containers"][0]["env"]}


def test_three_processes_run_the_image_by_its_digest(declared: Recorder) -> None:
    images = {name: pod(declared, name)["containers"][0]["image"] for name in deployments(declared)}
    assert images == dict.fromkeys(
        (RECEIVER.name, WORKER.name, CONTROLLER.name), f"registry.example/gw/promotion@{DIGEST}"
    )
    assert {name: spec["replicas"] for name, spec in deployments(declared).items()} == {
        RECEIVER.name: 2,
        WORKER.name: 1,
        CONTROLLER.name: 1,
    }
    (budget,) = declared.of_type("kubernetes:policy/v1:PodDisruptionBudget")
    assert budget.inputs["spec"]["selector"]["matchLabels"] == dict(RECEIVER.labels)


def test_a_single_receiver_has_no_budget() -> None:
    assert declare("dev").of_type("kubernetes:policy/v1:PodDisruptionBudget") == []


@pytest.mark.parametrize("process", [RECEIVER, WORKER, CONTROLLER], ids=lambda process: process.name)
def test_a_process_is_restricted_probed_and_bounded(declared: Recorder, process: Any) -> None:
    spec = pod(declared, process.name)
    (container,) = spec["containers"]
    assert spec["serviceAccountName"] == process.workload.service_account
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} == set(container["resources"]["requests"])
    assert {probe: container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")} == {
        "livenessProbe": "/health",
        "readinessProbe": "/ready",
    }
    labels = deployments(declared)[process.name]["template"]["metadata"]["labels"]
    assert labels == {**process.labels, "identity": "on"}


def test_no_pod_has_the_value_of_a_secret(declared: Recorder) -> None:
    holders = {item.type for item in declared.resources if "hunter" in str(item.inputs)}
    assert holders == {"kubernetes:core/v1:Secret"}
    (inbox,) = (
        item.inputs
        for item in declared.of_type("kubernetes:core/v1:Secret")
        if item.inputs["metadata"]["name"] == "promotion-inbox"
    )
    url = "postgresql://lifecycle:hunter3@db.example:5432/lifecycle?sslmode=require"
    assert inbox["stringData"] == {"promotion_inbox": url}


@pytest.mark.parametrize(
    ("process", "secrets"),
    [
        (RECEIVER, {"promotion-inbox", "promotion-webhook"}),
        (WORKER, {"promotion-inbox", "promotion-webhook", "gitops-token"}),
        (CONTROLLER, {"gitops-token"}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_process_reads_the_secrets_that_it_needs_and_no_others(
    declared: Recorder, process: Any, secrets: set[str]
) -> None:
    (volume,) = (volume for volume in pod(declared, process.name)["volumes"] if volume["name"] == "secrets")
    assert {source["secret"]["name"] for source in volume["projected"]["sources"]} == secrets


def test_only_the_job_that_creates_the_database_reads_the_administrators_login(declared: Recorder) -> None:
    (job,) = declared.of_type("kubernetes:batch/v1:Job")
    assert "promotion-administrator" in str(job.inputs)
    assert job.inputs["spec"]["template"]["spec"]["containers"][0]["args"] == ["lifecycle.promotion", "create-database"]
    assert not any("promotion-administrator" in str(spec) for spec in deployments(declared).values())


def test_settings_name_the_secrets_that_people_store() -> None:
    declared = declare(lifecycle={"gitToken": "bot", "notifications": "slack"})
    kinds = [item.inputs for item in declared.resources if item.inputs.get("kind") == "ExternalSecret"]
    keys = {item["metadata"]["name"]: item["spec"]["data"] for item in kinds}
    assert keys == {
        "gitops-token": [{"secretKey": "gitops_token", "remoteRef": {"key": "gw/bot"}}],
        "notifications": [{"secretKey": "notify_slack_url", "remoteRef": {"key": "gw/slack"}}],
    }
    settings = {item["metadata"]["name"]: item["metadata"]["annotations"][SETTING] for item in kinds}
    assert settings == {
        "gitops-token": "groundwork:lifecycle.gitToken",
        "notifications": "groundwork:lifecycle.notifications",
    }
    (volume,) = (volume for volume in pod(declared, WORKER.name)["volumes"] if volume["name"] == "secrets")
    assert {"secret": {"name": "notifications"}} in volume["projected"]["sources"]


def test_changes_of_models_are_pushed_unless_a_setting_requires_pull_requests(declared: Recorder) -> None:
    assert not {"GITOPS_MODE", "GITOPS_PROJECT", "GITOPS_FORGE_URL"} & environment(declared, WORKER.name).keys()
    repository = "https://github.com/acme/models.git"
    proposed = declare(lifecycle={"pullRequests": True}, gitops={"repository": repository})
    for process in (WORKER, CONTROLLER):
        variables = environment(proposed, process.name)
        assert variables["GITOPS_MODE"] == "pull-request"
        assert variables["GITOPS_PROJECT"] == "acme/models"
        assert variables["GITOPS_FORGE_URL"] == "https://api.github.com"


def test_the_worker_dispatches_promotions_to_a_workflow_if_a_setting_names_one(declared: Recorder) -> None:
    assert not any(name.startswith("PROMOTION_DISPATCH") for name in environment(declared, WORKER.name))
    dispatched = declare(lifecycle={"dispatchProject": "acme/ml-platform", "dispatchToken": "bot"})
    variables = environment(dispatched, WORKER.name)
    assert variables["PROMOTION_DISPATCH_PROJECT"] == "acme/ml-platform"
    assert variables["PROMOTION_DISPATCH_URL"] == "https://api.github.com"
    kinds = [item.inputs for item in dispatched.resources if item.inputs.get("kind") == "ExternalSecret"]
    keys = {item["metadata"]["name"]: item["spec"]["data"] for item in kinds}
    assert keys["dispatch-token"] == [{"secretKey": "promotion_dispatch_token", "remoteRef": {"key": "gw/bot"}}]
    for process in (RECEIVER, WORKER, CONTROLLER):
        (volume,) = (volume for volume in pod(dispatched, process.name)["volumes"] if volume["name"] == "secrets")
        reads = {"secret": {"name": "dispatch-token"}} in volume["projected"]["sources"]
        assert reads == (process is WORKER), "the token is read by the process that sends"
        assert ("PROMOTION_DISPATCH_PROJECT" in environment(dispatched, process.name)) == (process is WORKER)


def test_mlflow_reaches_the_receiver_and_the_processes_their_repository(declared: Recorder) -> None:
    flows = {(str(flow.client), str(flow.server), flow.port) for flow in Lifecycle.flows}
    assert (str(SERVER), f"lifecycle/{RECEIVER.name}", 8080) in flows
    assert (f"lifecycle/{WORKER.name}", "Internet", 443) in flows
    assert (f"lifecycle/{CONTROLLER.name}", "serving/serving", 8000) in flows
    assert environment(declared, WORKER.name)["GITOPS_REPOSITORY"] == NEEDED["gitops"]["repository"]
    assert environment(declared, WORKER.name)["PROMOTION_WEBHOOK_URL"].startswith(
        f"http://{RECEIVER.name}.lifecycle.svc"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": {}}, "images.promotion is not set. Build platform/lifecycle/images/promotion, push it to the"),
        ({"gitops": {}}, "gitops.repository is not set, so there is nothing to commit to. Set it to"),
    ],
)
def test_without_image_or_repository_nothing_is_deployed_and_there_is_a_warning(
    settings: dict[str, Any], message: str, preview_warnings: list[str]
) -> None:
    declared = declare(**settings)
    assert deployments(declared) == {}
    assert declared.of_type("kubernetes:core/v1:Secret") == []
    assert [warning for warning in preview_warnings if message in warning]
