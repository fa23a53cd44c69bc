"""The Pod Security Standards `restricted` and `baseline`, with Kubernetes' own cases.

Proves for every kind of workload, and for resources of operators that run models and training, that each pod which
Kubernetes' admission rejects at a level violates a control that refers to the standards, and that each pod which it
admits at a level violates no control that refers to that level. The cases come from the module in
third_party/go/pod-security-admission, which Go downloads; without Go or the module, the tests are skipped.
Does not prove that the controls are not stricter than `baseline`: those for capabilities, seccomp and /proc require
`restricted`.
Does not prove that an operator creates the pod that its resource describes. Cases that a resource cannot express are
skipped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from policies import controls
from policies.controls.kubernetes.pod_specs import POD_KINDS
from policies.engine.findings import Undecided
from rehearsal.toolchain import ROOT

pytestmark = pytest.mark.process

MODULE: Final = ROOT / "third_party" / "go" / "pod-security-admission"
VERSION: Final = "v1.37"
LEVELS: Final = ("restricted", "baseline")
STANDARDS: Final = frozenset(f"PSS-{level}" for level in LEVELS)
POD: Final = "kubernetes:core/v1:Pod"
Pod = Mapping[str, Any]


def template(pod: Pod) -> dict[str, Any]:
    return {"metadata": pod["metadata"], "spec": pod["spec"]}


WORKLOADS: Final[Mapping[str, Callable[[Pod], Mapping[str, Any]]]] = {
    "Pod": lambda pod: pod,
    "PodTemplate": lambda pod: {"template": template(pod)},
    "CronJob": lambda pod: {"spec": {"jobTemplate": {"spec": {"template": template(pod)}}}},
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"),
        lambda pod: {"spec": {"template": template(pod)}},
    ),
}


def in_template(*path: str) -> Callable[[Pod], Mapping[str, Any]]:
    """A resource with the pod's template at a path of its spec."""

    def build(pod: Pod) -> Mapping[str, Any]:
        value: Mapping[str, Any] = {"template": template(pod)}
        for key in reversed(path):
            value = {key: value}
        return {"spec": value}

    return build


def in_list(*path: str) -> Callable[[Pod], Mapping[str, Any]]:
    """A resource with the pod's template in a list at a path of its spec."""

    def build(pod: Pod) -> Mapping[str, Any]:
        value: Any = [{"template": template(pod)}]
        for key in reversed(path):
            value = {key: value}
        return {"spec": value}

    return build


def as_runtime(pod: Pod) -> Mapping[str, Any]:
    return {"spec": {**pod["spec"], "annotations": pod["metadata"].get("annotations", {})}}


def as_workflow_template(pod: Pod) -> dict[str, Any]:
    first, *others = pod["spec"]["containers"]
    shared = {key: value for key, value in pod["spec"].items() if key in ("initContainers", "volumes")}
    context = pod["spec"].get("securityContext", {})
    return {"metadata": pod["metadata"], "container": first, "sidecars": others, **shared, "securityContext": context}


def as_workflow(pod: Pod) -> Mapping[str, Any]:
    network = {key: value for key, value in pod["spec"].items() if key == "hostNetwork"}
    return {"spec": {"templates": [as_workflow_template(pod)], **network}}


def as_inline_step(pod: Pod) -> Mapping[str, Any]:
    workflow = as_workflow(pod)["spec"]
    return {"spec": {**workflow, "templates": [{"steps": [[{"inline": workflow["templates"][0]}]]}]}}


# Resources of operators whose pods are exactly as the resource specifies them.
OPERATORS: Final[Mapping[str, Callable[[Pod], Mapping[str, Any]]]] = {
    "kubernetes:kubeflow.org/v1:PyTorchJob": in_template("pytorchReplicaSpecs", "Worker"),
    "kubernetes:kubeflow.org/v1:TFJob": in_template("tfReplicaSpecs", "Chief"),
    "kubernetes:kubeflow.org/v1:XGBoostJob": in_template("xgbReplicaSpecs", "Master"),
    "kubernetes:kubeflow.org/v2beta1:MPIJob": in_template("mpiReplicaSpecs", "Launcher"),
    "kubernetes:kubeflow.org/v1:Notebook": in_template(),
    "kubernetes:ray.io/v1:RayCluster": in_template("headGroupSpec"),
    "kubernetes:ray.io/v1:RayJob": in_list("rayClusterSpec", "workerGroupSpecs"),
    "kubernetes:ray.io/v1:RayService": in_list("rayClusterConfig", "workerGroupSpecs"),
    "kubernetes:serving.kserve.io/v1alpha1:ServingRuntime": as_runtime,
    "kubernetes:argoproj.io/v1alpha1:Workflow": as_workflow,
    "kubernetes:argoproj.io/v1alpha1:CronWorkflow": lambda pod: {"spec": {"workflowSpec": as_workflow(pod)["spec"]}},
    "kubernetes:argoproj.io/v1alpha1:WorkflowTemplate": as_inline_step,
    "kubernetes:batch.volcano.sh/v1alpha1:Job": in_list("tasks"),
}
# Resources of operators that add omitted properties to the pod, so that only properties that are set can be wrong.
MERGING_OPERATORS: Final[Mapping[str, Callable[[Pod], Mapping[str, Any]]]] = {
    "kubernetes:serving.kserve.io/v1beta1:InferenceService": lambda pod: {
        "spec": {"predictor": as_runtime(pod)["spec"]}
    },
    "kubernetes:trainer.kubeflow.org/v1alpha1:TrainingRuntime": in_list("template", "spec", "replicatedJobs"),
    "kubernetes:example.com/v1:App": in_template("deep"),
}
# The fields of a pod that Argo workflows can express.
IN_WORKFLOWS: Final = {"containers", "initContainers", "volumes", "securityContext", "hostNetwork"}


def can_express(type_: str, pod: Pod) -> bool:
    return ":argoproj.io/" not in type_ or set(pod["spec"]) <= IN_WORKFLOWS


@cache
def find_cases(version: str, level: str) -> Path:
    """The folder of the module's cases for a level and version. Skips the test if the module is not available."""
    go = shutil.which("go")
    if not go:
        pytest.skip("Go, which downloads Kubernetes' cases, is not on PATH")
    command = [go, "mod", "download", "-json", "k8s.io/pod-security-admission"]
    reply = subprocess.run(command, cwd=MODULE, capture_output=True, text=True, check=False)
    if reply.returncode != 0:
        pytest.skip(f"Kubernetes' cases could not be downloaded: {reply.stderr.strip() or reply.stdout.strip()}")
    return Path(json.loads(reply.stdout)["Dir"]) / "test" / "testdata" / level / version


def read_pods(outcome: str, version: str = VERSION, level: str = "restricted") -> dict[str, Pod]:
    files = sorted((find_cases(version, level) / outcome).glob("*.yaml"))
    return {file.stem: yaml.safe_load(file.read_text()) for file in files}


def violated(props: Mapping[str, Any], type_: str = POD, standards: frozenset[str] = STANDARDS) -> list[str]:
    """The controls of some standards that a workload violates. They find the kind of workload by its properties."""
    return [
        control.id
        for control in controls()
        if standards & set(control.references)
        and any(not isinstance(finding, Undecided) for finding in control.evaluate_resource(type_, props))
    ]


def test_every_kind_of_workload_is_tested() -> None:
    assert {kind.rpartition(":")[2] for kind in POD_KINDS} == set(WORKLOADS)


BUILT_IN: Final = {kind: (POD, build) for kind, build in WORKLOADS.items()}
COMPLETE: Final = {**BUILT_IN, **{type_: (type_, build) for type_, build in OPERATORS.items()}}
ALL: Final = {**COMPLETE, **{type_: (type_, build) for type_, build in MERGING_OPERATORS.items()}}


def test_all_cases_exist() -> None:
    counts = {
        (level, outcome): len(read_pods(outcome, level=level)) for level in LEVELS for outcome in ("fail", "pass")
    }
    assert counts["restricted", "fail"] >= 70
    assert counts["restricted", "pass"] >= 20
    assert counts["baseline", "fail"] >= 34
    assert counts["baseline", "pass"] >= 15


@pytest.mark.parametrize(
    ("level", "kind"), [("restricted", kind) for kind in COMPLETE] + [("baseline", kind) for kind in ALL]
)
def test_each_rejected_pod_has_a_violation(level: str, kind: str) -> None:
    type_, build = ALL[kind]
    pods = {name: pod for name, pod in read_pods("fail", level=level).items() if can_express(type_, pod)}
    assert [name for name, pod in pods.items() if not violated(build(pod), type_)] == []


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("level", LEVELS)
def test_no_admitted_pod_has_a_violation(level: str, kind: str) -> None:
    type_, build = ALL[kind]
    standards = STANDARDS if level == "restricted" else frozenset({"PSS-baseline"})
    pods = {name: pod for name, pod in read_pods("pass", level=level).items() if can_express(type_, pod)}
    assert {name: found for name, pod in pods.items() if (found := violated(build(pod), type_, standards))} == {}
