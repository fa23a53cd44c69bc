"""The Pod Security Standard `restricted`, by Kubernetes' own cases.

Proves in every kind of workload that each pod which Kubernetes' admission refuses has a violation of a control that
claims the standard, and that each pod which it admits has none. The cases are those of the module in
third_party/go/pod-security-admission, which Go downloads; without Go, or without the module, the tests are skipped.
Does not prove anything about `baseline` alone: the pack requires `restricted`, in which it is contained.
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
STANDARDS: Final = {"PSS-baseline", "PSS-restricted"}
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


@cache
def find_cases(version: str = VERSION) -> Path:
    """The folder of the module's cases of `restricted` in a version. Skips the test where it cannot be had."""
    go = shutil.which("go")
    if not go:
        pytest.skip("Go, which downloads Kubernetes' cases, is not on PATH")
    command = [go, "mod", "download", "-json", "k8s.io/pod-security-admission"]
    reply = subprocess.run(command, cwd=MODULE, capture_output=True, text=True, check=False)
    if reply.returncode != 0:
        pytest.skip(f"Kubernetes' cases could not be downloaded: {reply.stderr.strip() or reply.stdout.strip()}")
    return Path(json.loads(reply.stdout)["Dir"]) / "test" / "testdata" / "restricted" / version


def read_pods(outcome: str, version: str = VERSION) -> dict[str, Pod]:
    files = sorted((find_cases(version) / outcome).glob("*.yaml"))
    return {file.stem: yaml.safe_load(file.read_text()) for file in files}


def violated(props: Mapping[str, Any]) -> list[str]:
    """The controls of the standards that a workload violates."""
    return [
        control.id
        for control in controls()
        if STANDARDS & set(control.references)
        and any(not isinstance(finding, Undecided) for finding in control.evaluate(props))
    ]


def test_every_kind_of_workload_is_tried() -> None:
    assert {kind.rpartition(":")[2] for kind in POD_KINDS} == set(WORKLOADS)


@pytest.mark.parametrize("kind", WORKLOADS)
def test_each_refused_pod_has_a_violation(kind: str) -> None:
    pods = read_pods("fail")
    assert len(pods) >= 70
    assert [name for name, pod in pods.items() if not violated(WORKLOADS[kind](pod))] == []


@pytest.mark.parametrize("kind", WORKLOADS)
def test_no_admitted_pod_has_a_violation(kind: str) -> None:
    pods = read_pods("pass")
    assert len(pods) >= 20
    assert {name: found for name, pod in pods.items() if (found := violated(WORKLOADS[kind](pod)))} == {}
