"""What a kubelet would refuse of pods whose processes are simulated, in its own words.

Proves each refusal, and that what is optional or there is let through, on objects in hand. That the objects are read
from a real API server is proven in tests/cluster. Not proven: the words themselves, which were copied from Kubernetes.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import yaml

from rehearsal.kubernetes.client import ApiClient, ClientConfig, Object
from rehearsal.kubernetes.readiness import kubelet_checks
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.kubernetes.readiness.snapshot import Snapshot


class Objects(ApiClient):
    """Answers from objects in hand, as an API server would."""

    def __init__(self, *objects: Object) -> None:
        super().__init__(ClientConfig("", "", "", ""))
        self._objects = objects

    def current_resource_version(self) -> str:
        return "1"

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
    ) -> Sequence[Object]:
        assert resource_version in ("", self.current_resource_version())
        assert not namespace + label_selector + field_selector
        return [item for item in self._objects if (item["apiVersion"], item["kind"]) == (api_version, kind)]


def thing(api_version: str, kind: str, name: str, owner: Object | None = None, **fields: Any) -> Object:
    metadata: dict[str, Any] = {"name": name, "namespace": "shop"}
    if owner:
        reference = {key: owner[key] for key in ("apiVersion", "kind")}
        metadata["ownerReferences"] = [{**reference, "name": owner["metadata"]["name"], "controller": True}]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


SECRET = thing("v1", "Secret", "keys", data={"password": "czNjcjN0"})
SETTINGS = thing("v1", "ConfigMap", "settings", data={"level": "info"}, binaryData={"logo": "AAAA"})
DEPLOYMENT = thing("apps/v1", "Deployment", "web")
REPLICAS = thing("apps/v1", "ReplicaSet", "web-5d8", DEPLOYMENT)


def pod(container: Mapping[str, Any], name: str = "web-5d8-x", **spec: Any) -> Object:
    main = {"name": "main", "image": "registry.example/web:1", **container}
    return thing("v1", "Pod", name, REPLICAS, spec={"containers": [main], **spec})


def problems(*objects: Object) -> list[Problem]:
    """What is refused, each once: the same is said of every pod of a workload."""
    return list(
        dict.fromkeys(problem for _, problem in kubelet_checks.find_kubelet_errors(Snapshot(Objects(*objects))))
    )


def refusals(*objects: Object) -> list[str]:
    found = problems(SECRET, SETTINGS, DEPLOYMENT, REPLICAS, *objects)
    assert {problem.workload for problem in found} <= {"Deployment shop/web"}
    assert all(problem.remedy for problem in found)
    return [problem.reason for problem in found]


def variable(kind: str, name: str, key: str, **more: Any) -> Mapping[str, Any]:
    return {"env": [{"name": "X", "valueFrom": {f"{kind}KeyRef": {"name": name, "key": key, **more}}}]}


def mounted(**volume: Any) -> Object:
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
def test_a_container_is_not_made(container: Mapping[str, Any], reason: str) -> None:
    assert refusals(pod(container)) == [f"CreateContainerConfigError: {reason}"]


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
    assert refusals(mounted(**volume)) == [f'MountVolume.SetUp failed for volume "files" : {reason}']


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
        mounted(secret={"secretName": "gone", "optional": True}),
        mounted(configMap={"name": "settings", "items": [{"key": "logo", "path": "logo"}]}),
        mounted(projected={"sources": [{"serviceAccountToken": {"path": "token"}}, {"secret": {"name": "keys"}}]}),
        mounted(emptyDir={}),
    ],
)
def test_what_is_there_or_optional_starts(pod: Object) -> None:
    assert refusals(pod) == []


@pytest.mark.parametrize("image", ["Web:1", "web:", "registry.example/Web:1", "web:1@sha256:12", "http://host/web", ""])
def test_an_image_has_to_have_a_name_that_can_be_parsed(image: str) -> None:
    (reason,) = refusals(pod({"image": image}))
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
def test_images_of_every_form_are_let_through(image: str) -> None:
    assert refusals(pod({"image": image})) == []


def helm_record(hook: Object, event: str = "pre-install") -> Object:
    """A release with one hook, as Helm keeps it."""
    record = json.dumps({"hooks": [{"manifest": yaml.safe_dump(hook), "events": [event]}]})
    release = base64.b64encode(base64.b64encode(gzip.compress(record.encode()))).decode()
    return thing("v1", "Secret", "sh.helm.release.v1.shop.v1", type="helm.sh/release.v1", data={"release": release})


def hook_job(**container: Any) -> Object:
    main = {"name": "main", "image": "web", **container}
    return thing("batch/v1", "Job", "hook", spec={"template": {"spec": {"containers": [main]}}})


ISSUED = {"secretName": "made"}


@pytest.mark.parametrize(
    "maker",
    [
        helm_record(hook_job(args=["create", "--secret-name=made"])),
        helm_record(hook_job(command=["make-secret", "made"])),
        helm_record(thing("rbac.authorization.k8s.io/v1", "Role", "r", rules=[{"resourceNames": ["made"]}])),
        thing("cert-manager.io/v1", "Certificate", "certificate", spec=ISSUED),
        thing("external-secrets.io/v1", "ExternalSecret", "external", spec={"target": {"name": "made"}}),
        thing("external-secrets.io/v1", "ExternalSecret", "made", spec={}),
    ],
)
def test_what_a_simulated_process_would_have_made_is_not_missed(maker: Object) -> None:
    assert refusals(mounted(secret={"secretName": "made"})) == [
        'MountVolume.SetUp failed for volume "files" : secret "made" not found'
    ]
    assert refusals(mounted(secret={"secretName": "made"}), maker) == []
    elsewhere = {**maker, "metadata": {**maker["metadata"], "namespace": "elsewhere"}}
    assert refusals(mounted(secret={"secretName": "made"}), elsewhere)


@pytest.mark.parametrize(
    "maker",
    [
        helm_record(hook_job(args=["made"]), event="test"),
        helm_record(hook_job(env=[{"name": "X", "valueFrom": {"secretKeyRef": {"name": "made", "key": "x"}}}])),
        helm_record(thing("v1", "ServiceAccount", "made")),
    ],
)
def test_a_hook_that_makes_nothing_excuses_nothing(maker: Object) -> None:
    assert len(refusals(mounted(secret={"secretName": "made"}), maker)) == 1


def test_init_containers_are_looked_at_too() -> None:
    init = {"name": "migrate", "image": "web:1", **variable("secret", "gone", "x")}
    assert refusals(pod({}, initContainers=[init])) == ['CreateContainerConfigError: secret "gone" not found']


def test_a_workload_is_named_once_however_many_pods_it_has() -> None:
    wrong = variable("secret", "gone", "password")
    assert len(refusals(pod(wrong, "web-5d8-x"), pod(wrong, "web-5d8-y"))) == 1


def test_a_pod_on_its_way_out_is_left_alone() -> None:
    leaving = pod(variable("secret", "gone", "password"))
    assert refusals({**leaving, "metadata": {**leaving["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}) == []


def test_a_pod_is_called_by_what_a_person_declared() -> None:
    cron = thing("batch/v1", "CronJob", "nightly")
    job = thing("batch/v1", "Job", "nightly-1", cron)
    custom = thing("example.org/v1", "Workflow", "train")
    operated = thing("apps/v1", "StatefulSet", "db", thing("example.org/v1", "Database", "db"))
    wrong = {"spec": {"containers": [{"name": "main", "image": "Bad"}]}}
    pods = [
        thing("v1", "Pod", name, owner, **wrong)
        for name, owner in (("a", job), ("b", custom), ("c", operated), ("d", None))
    ]
    found = problems(cron, job, custom, operated, *pods)
    assert [problem.workload for problem in found] == [
        "CronJob shop/nightly",
        "Workflow shop/train",
        "StatefulSet shop/db",
        "Pod shop/d",
    ]


def test_a_fault_reads_as_what_why_and_remedy() -> None:
    assert Problem("Deployment shop/web", "0/1 pods ready: no room.", "Make room.").message == (
        "Deployment shop/web: 0/1 pods ready: no room. Remedy: Make room."
    )
    assert Problem("Node user-0", "not Ready", "").message == "Node user-0: not Ready."
