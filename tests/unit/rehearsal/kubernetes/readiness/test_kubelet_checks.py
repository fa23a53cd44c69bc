"""The errors that a kubelet would report for pods whose processes are simulated.

Proves each error, and that optional and existing objects are accepted, with objects in memory. tests/cluster proves
that the objects are read from a real API server. Does not prove the messages themselves, which were copied from
Kubernetes.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness import kubelet_checks
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.kubernetes.readiness.snapshot import Snapshot
from tests.support.objects_in_memory import FakeApiClient


def object_manifest(api_version: str, kind: str, name: str, owner: Object | None = None, **fields: Any) -> Object:
    metadata: dict[str, Any] = {"name": name, "namespace": "shop"}
    if owner:
        reference = {key: owner[key] for key in ("apiVersion", "kind")}
        metadata["ownerReferences"] = [{**reference, "name": owner["metadata"]["name"], "controller": True}]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


SECRET = object_manifest("v1", "Secret", "keys", data={"password": "czNjcjN0"})
SETTINGS = object_manifest("v1", "ConfigMap", "settings", data={"level": "info"}, binaryData={"logo": "AAAA"})
DEPLOYMENT = object_manifest("apps/v1", "Deployment", "web")
REPLICAS = object_manifest("apps/v1", "ReplicaSet", "web-5d8", DEPLOYMENT)


def pod(container: Mapping[str, Any], name: str = "web-5d8-x", **spec: Any) -> Object:
    main = {"name": "main", "image": "registry.example/web:1", **container}
    return object_manifest("v1", "Pod", name, REPLICAS, spec={"containers": [main], **spec})


def find_problems(*objects: Object) -> list[Problem]:
    """The distinct problems, since the problems of a workload's pods are equal."""
    return list(
        dict.fromkeys(problem for _, problem in kubelet_checks.find_kubelet_errors(Snapshot(FakeApiClient(*objects))))
    )


def find_reasons(*objects: Object) -> list[str]:
    found = find_problems(SECRET, SETTINGS, DEPLOYMENT, REPLICAS, *objects)
    assert {problem.workload for problem in found} <= {"Deployment shop/web"}
    assert all(problem.remedy for problem in found)
    return [problem.reason for problem in found]


def variable(kind: str, name: str, key: str, **more: Any) -> Mapping[str, Any]:
    return {"env": [{"name": "X", "valueFrom": {f"{kind}KeyRef": {"name": name, "key": key, **more}}}]}


def pod_with_volume(**volume: Any) -> Object:
    return pod({}, volumes=[{"name": "files", **volume}])


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        (variable("secret", "gone", "password"), 'secret "gone" not found'),
        (variable("secret", "keys", "user"), "couldn't find key user in Secret shop/keys"),
        (variable("configMap", "gone", "level"), 'configmap "gone" not found'),
        (variable("configMap", "settings", "port"), "couldn't find key port in ConfigMap shop/settings"),
        (variable("configMap", "settings", "logo"), "couldn't find key logo in ConfigMap shop/settings"),
        ({"envFrom": [{"secretRef": {"name": "gone"}}]}, 'secret "gone" not found'),
        ({"envFrom": [{"configMapRef": {"name": "gone"}}]}, 'configmap "gone" not found'),
        (
            {"securityContext": {"runAsNonRoot": True, "runAsUser": 0}},
            "container's runAsUser breaks non-root policy (container: main)",
        ),
    ],
)
def test_a_container_is_not_created(container: Mapping[str, Any], reason: str) -> None:
    assert find_reasons(pod(container)) == [f"CreateContainerConfigError: {reason}"]


@pytest.mark.parametrize(
    ("volume", "reason"),
    [
        ({"secret": {"secretName": "gone"}}, 'secret "gone" not found'),
        ({"configMap": {"name": "gone"}}, 'configmap "gone" not found'),
        (
            {"secret": {"secretName": "keys", "items": [{"key": "user", "path": "user"}]}},
            "references non-existent secret key: user",
        ),
        (
            {"configMap": {"name": "settings", "items": [{"key": "port", "path": "port"}]}},
            "configmap references non-existent config key: port",
        ),
        ({"projected": {"sources": [{"secret": {"name": "gone"}}]}}, 'secret "gone" not found'),
        (
            {"projected": {"sources": [{"configMap": {"name": "settings", "items": [{"key": "port"}]}}]}},
            "configmap references non-existent config key: port",
        ),
    ],
)
def test_a_volume_is_not_mounted(volume: Mapping[str, Any], reason: str) -> None:
    assert find_reasons(pod_with_volume(**volume)) == [f'MountVolume.SetUp failed for volume "files" : {reason}']


@pytest.mark.parametrize(
    "pod",
    [
        pod(variable("secret", "keys", "password")),
        pod(variable("secret", "gone", "password", optional=True)),
        pod(variable("secret", "keys", "user", optional=True)),
        pod({"envFrom": [{"configMapRef": {"name": "gone", "optional": True}}]}),
        pod({"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
        pod({"securityContext": {"runAsNonRoot": True}}),
        pod({"securityContext": {"runAsUser": 1}}, securityContext={"runAsNonRoot": True, "runAsUser": 0}),
        pod_with_volume(secret={"secretName": "gone", "optional": True}),
        pod_with_volume(configMap={"name": "settings", "items": [{"key": "logo", "path": "logo"}]}),
        pod_with_volume(
            projected={"sources": [{"serviceAccountToken": {"path": "token"}}, {"secret": {"name": "keys"}}]}
        ),
        pod_with_volume(emptyDir={}),
    ],
)
def test_existing_or_optional_objects_are_accepted(pod: Object) -> None:
    assert find_reasons(pod) == []


@pytest.mark.parametrize("image", ["Web:1", "web:", "registry.example/Web:1", "web:1@sha256:12", "http://host/web", ""])
def test_an_unparsable_image_name_is_rejected(image: str) -> None:
    (reason,) = find_reasons(pod({"image": image}))
    assert reason.startswith("InvalidImageName: ")
    assert f'couldn\'t parse image name "{image}": invalid reference format' in reason


@pytest.mark.parametrize(
    "image",
    [
        "web",
        "web:1",
        "library/web__x/y-z:v1.2_3",
        "Registry.example:5000/web",
        "localhost/web",
        "[fd00::1]:5000/web:1",
        f"quay.io/org/web:1@sha256:{'ab' * 32}",
    ],
)
def test_every_form_of_image_name_is_accepted(image: str) -> None:
    assert find_reasons(pod({"image": image})) == []


def helm_record(hook: Object, event: str = "pre-install") -> Object:
    """Helm's record of a release with one hook."""
    record = json.dumps({"hooks": [{"manifest": yaml.safe_dump(hook), "events": [event]}]})
    release = base64.b64encode(base64.b64encode(gzip.compress(record.encode()))).decode()
    return object_manifest(
        "v1", "Secret", "sh.helm.release.v1.shop.v1", type="helm.sh/release.v1", data={"release": release}
    )


def hook_job(**container: Any) -> Object:
    main = {"name": "main", "image": "web", **container}
    return object_manifest("batch/v1", "Job", "hook", spec={"template": {"spec": {"containers": [main]}}})


ISSUED = {"secretName": "made"}


@pytest.mark.parametrize(
    "creator",
    [
        helm_record(hook_job(args=["create", "--secret-name=made"])),
        helm_record(hook_job(command=["make-secret", "made"])),
        helm_record(object_manifest("rbac.authorization.k8s.io/v1", "Role", "r", rules=[{"resourceNames": ["made"]}])),
        object_manifest("cert-manager.io/v1", "Certificate", "certificate", spec=ISSUED),
        object_manifest("external-secrets.io/v1", "ExternalSecret", "external", spec={"target": {"name": "made"}}),
        object_manifest("external-secrets.io/v1", "ExternalSecret", "made", spec={}),
    ],
)
def test_an_object_that_a_simulated_process_would_create_is_expected(creator: Object) -> None:
    assert find_reasons(pod_with_volume(secret={"secretName": "made"})) == [
        'MountVolume.SetUp failed for volume "files" : secret "made" not found'
    ]
    assert find_reasons(pod_with_volume(secret={"secretName": "made"}), creator) == []
    elsewhere = {**creator, "metadata": {**creator["metadata"], "namespace": "elsewhere"}}
    assert find_reasons(pod_with_volume(secret={"secretName": "made"}), elsewhere)


@pytest.mark.parametrize(
    "creator",
    [
        helm_record(hook_job(args=["made"]), event="test"),
        helm_record(hook_job(env=[{"name": "X", "valueFrom": {"secretKeyRef": {"name": "made", "key": "x"}}}])),
        helm_record(object_manifest("v1", "ServiceAccount", "made")),
    ],
)
def test_a_hook_that_creates_nothing_is_ignored(creator: Object) -> None:
    assert len(find_reasons(pod_with_volume(secret={"secretName": "made"}), creator)) == 1


def test_init_containers_are_checked() -> None:
    init = {"name": "migrate", "image": "web:1", **variable("secret", "gone", "x")}
    assert find_reasons(pod({}, initContainers=[init])) == ['CreateContainerConfigError: secret "gone" not found']


def test_a_workload_with_many_pods_has_one_problem() -> None:
    invalid = variable("secret", "gone", "password")
    assert len(find_reasons(pod(invalid, "web-5d8-x"), pod(invalid, "web-5d8-y"))) == 1


def test_a_pod_in_deletion_is_not_checked() -> None:
    leaving = pod(variable("secret", "gone", "password"))
    assert (
        find_reasons({**leaving, "metadata": {**leaving["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
        == []
    )


def test_a_problem_names_the_declared_workload() -> None:
    cron = object_manifest("batch/v1", "CronJob", "nightly")
    job = object_manifest("batch/v1", "Job", "nightly-1", cron)
    custom = object_manifest("example.org/v1", "Workflow", "train")
    operated = object_manifest("apps/v1", "StatefulSet", "db", object_manifest("example.org/v1", "Database", "db"))
    invalid = {"spec": {"containers": [{"name": "main", "image": "Bad"}]}}
    pods = [
        object_manifest("v1", "Pod", name, owner, **invalid)
        for name, owner in (("a", job), ("b", custom), ("c", operated), ("d", None))
    ]
    found = find_problems(cron, job, custom, operated, *pods)
    assert [problem.workload for problem in found] == [
        "CronJob shop/nightly",
        "Workflow shop/train",
        "StatefulSet shop/db",
        "Pod shop/d",
    ]


def test_a_problem_has_workload_reason_and_remedy() -> None:
    assert Problem("Deployment shop/web", "0/1 pods ready: no room.", "Make room.").message == (
        "Deployment shop/web: 0/1 pods ready: no room. Remedy: Make room."
    )
    assert Problem("Node user-0", "not Ready", "").message == "Node user-0: not Ready."
