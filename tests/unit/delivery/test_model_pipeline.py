"""The stages of a model's pipeline: which command runs in which pod of the cluster, and how its output is read.

kubectl is simulated. platform/lifecycle proves that the commands work; a test here compares the names of modules and
arguments with the source code there, and the names of pods with the program's.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from delivery import __main__ as command
from delivery import model_pipeline
from delivery.cluster import Cluster, connect
from delivery.errors import DeliveryError
from deploy.programs import ROOT, Answer
from infra.access import RETRAINING, get_workload
from infra.cluster.lifecycle import WORKER
from tests.support.fake_programs import FakePrograms, refuse

KUBECTL = "kubectl --kubeconfig /k"
EXEC = f"{KUBECTL} exec --namespace lifecycle deployment/"
START = f"{EXEC}retraining -- python -m lifecycle.retraining start churn"
PROMOTE = f"{EXEC}promotion-worker -- python -m lifecycle.promotion promote churn 3"
PODS = f"{KUBECTL} get pods --namespace training --selector job-name=retrain-churn-4 --output json"
SERVICES = f"{KUBECTL} get inferenceservices.serving.kserve.io --namespace serving --output json"


def cluster(answers: dict[str, Any]) -> Cluster:
    return Cluster(FakePrograms(answers), Path("/k"))


def ended(**terminated: Any) -> dict[str, Any]:
    return {"items": [{"status": {"containerStatuses": [{"state": {"terminated": terminated}}]}}]}


def test_each_type_of_pipeline_has_its_stages() -> None:
    stages = {
        kind: [stage for stage, runs in model_pipeline.plan(kind, "churn", "3").items() if runs]
        for kind in ("full-pipeline", "train", "deploy", "ab-test", "promote")
    }
    assert stages == {
        "full-pipeline": ["train", "images", "deploy", "ab_test", "promote"],
        "train": ["train"],
        "deploy": ["images", "deploy"],
        "ab-test": ["ab_test"],
        "promote": ["promote"],
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["canary", "--model", "churn"], "deployment_type is 'canary'.*one of full-pipeline, train, deploy, ab-test"),
        (["train", "--model", "Churn; ls"], "model is 'Churn; ls', which is not a registered model's name"),
        (["promote", "--model", "churn"], "version is '', which is not a version number"),
        (["deploy", "--model", "churn", "--version", "latest"], "version is 'latest'"),
    ],
)
def test_invalid_input_has_one_message(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert command.main(["plan", *arguments]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert re.search(message, output.err)


def test_a_run_is_started_and_its_version_read_when_it_ends() -> None:
    message = json.dumps({"outcome": "retrained", "version": "7", "run_id": "r", "reasons": []})
    answers = {START: "churn: started: the run retrain-churn-4 has been started\n", PODS: ended(message=message)}
    result = model_pipeline.train(cluster(answers), "churn", 10)
    assert (result.outcome, result.version) == ("retrained", "7")


def test_a_run_that_kubernetes_ended_has_no_version() -> None:
    answers = {START: "churn: started: the run retrain-churn-4 has been started\n", PODS: ended(reason="OOMKilled")}
    result = model_pipeline.train(cluster(answers), "churn", 10)
    assert (result.version, result.reasons) == ("", ["OOMKilled"])


def test_a_refused_run_reports_the_reason() -> None:
    refused = Answer(1, "churn: cooling-down: the run retrain-churn-3 was started at 02:00 UTC\n", "exit code 1")
    with pytest.raises(DeliveryError, match="No training run of churn has been started: churn: cooling-down"):
        model_pipeline.train(cluster({START: refused}), "churn", 10)


def test_a_run_that_exceeds_the_timeout_continues() -> None:
    answers = {START: "churn: started: the run retrain-churn-4 has been started\n", PODS: {"items": []}}
    with pytest.raises(DeliveryError, match=r"has not ended within 0 s, and continues"):
        model_pipeline.train(cluster(answers), "churn", 0)


def test_an_event_promotes_a_version_only_while_it_is_the_challenger() -> None:
    promoting = cluster({PROMOTE: "churn version 3: promoted c0ffee\n"})
    assert model_pipeline.promote(promoting, "churn", "3", "e1") == "churn version 3: promoted c0ffee\n"
    model_pipeline.promote(promoting, "churn", "3")
    assert isinstance(promoting.programs, FakePrograms)
    assert promoting.programs.commands == [f"{PROMOTE} --keep-alias --event e1", PROMOTE]


def test_a_rejected_version_fails_with_the_gates_reason() -> None:
    answer = Answer(1, "churn version 3: rejected accuracy 0.61 is below 0.9\n", "command terminated with exit code 1")
    with pytest.raises(DeliveryError, match=r"rejected accuracy 0\.61 is below 0\.9"):
        model_pipeline.promote(cluster({PROMOTE: answer}), "churn", "3")


def service(ready: str, version: str = "3") -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "churn", "app.kubernetes.io/version": version}
    return {
        "metadata": {"name": "churn-challenger", "labels": labels},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def test_a_version_serves_when_its_service_is_ready() -> None:
    serving = cluster({SERVICES: {"items": [service("True")]}})
    assert model_pipeline.wait_until_served(serving, "churn", "3", 0) == "churn-challenger"


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "Argo CD has not applied it"),
        ([service("False")], "churn-challenger is not ready"),
        ([service("True", "2")], "not applied"),
    ],
)
def test_the_error_of_a_version_that_does_not_serve_in_time_names_its_state(items: list[Any], message: str) -> None:
    with pytest.raises(DeliveryError, match=message):
        model_pipeline.wait_until_served(cluster({SERVICES: {"items": items}}), "churn", "3", 0)


def test_an_analysis_is_a_job_from_the_stacks_cron_job() -> None:
    created = f"{KUBECTL} create job experiments-decide-9 --from=cronjob/experiments-decide --namespace serving"
    logs = f"{KUBECTL} logs job/experiments-decide-9 --namespace serving"
    waiting = f"{KUBECTL} wait --for=condition=complete job/experiments-decide-9"
    answers = {created: "", waiting: "", logs: "churn-forest: continue\n"}
    assert model_pipeline.analyse(cluster(answers), "9", 60) == "churn-forest: continue\n"
    with pytest.raises(DeliveryError, match="Its log:\nchurn-forest: continue"):
        model_pipeline.analyse(cluster({**answers, waiting: refuse("timed out")}), "9", 60)


def test_the_kubeconfig_is_a_private_file_that_is_deleted_after_use() -> None:
    programs = FakePrograms({"pulumi stack output kubeconfig": "kind: Config\n"})
    with connect("team", programs) as connected:
        assert connected.kubeconfig.read_text() == "kind: Config\n"
        assert connected.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert not connected.kubeconfig.exists()


def test_the_error_of_a_stack_that_is_not_deployed_has_a_remedy() -> None:
    programs = FakePrograms({"pulumi stack output": refuse("error: no stack named 'team' found")})
    with (
        pytest.raises(DeliveryError, match=r"no stack named 'team' found.*`make up STACK=team`"),
        connect("team", programs),
    ):
        pass


def test_pods_namespaces_and_commands_are_those_of_the_platform() -> None:
    assert (WORKER.name, WORKER.pods.namespace) == ("promotion-worker", "lifecycle")
    assert get_workload("experiments-decide").namespace == "serving"
    assert (RETRAINING.name, RETRAINING.namespace) == ("retraining", "lifecycle")
    source = ROOT / "platform" / "lifecycle" / "src" / "lifecycle"
    for module, names in {
        "promotion": ('"promote"', '"--keep-alias"', '"--event"', '"retry"'),
        "retraining": ('"start"', '"schedule"', '"new-data"', '"--source"', '"--id"', '"--force"'),
        "gitops": ('"set-image"',),
    }.items():
        text = (source / module / "__main__.py").read_text()
        assert [name for name in names if name not in text] == []
