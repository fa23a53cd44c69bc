"""The offline check of Kubernetes objects and Helm releases.

Proves what is refused without an API server. What only a running one can say (admission, scheduling, rendered
templates) is not proven here.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.helm import charts
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values
from rehearsal.simulator.offline_kubernetes import CLOUD, RELEASE

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"


@pytest.fixture
def kubernetes() -> Iterator[Simulation]:
    state = StateStore(":memory:")
    simulation = Simulation(CLOUD, state)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mlflow"}}
    simulation.create("urn::ns", "kubernetes:core/v1:Namespace", Values(namespace), preview=False)
    yield simulation
    state.close()


def config_map(**changed: Any) -> Values:
    metadata = {"name": "settings", "namespace": "mlflow"}
    return Values({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}, **changed})


def release(**changed: Any) -> Values:
    return Values({"chart": "toy", "version": "1.0.0", "name": "toy", "namespace": "mlflow", "values": {}, **changed})


@pytest.fixture
def chart_with_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package `toy-1.0.0.tgz` whose schema knows `replicas` and `image.tag`."""
    image = {"properties": {"tag": {"type": "string"}}}
    schema = {"properties": {"replicas": {"type": "integer"}, "image": image}, "additionalProperties": False}
    with tarfile.open(tmp_path / "toy-1.0.0.tgz", "w:gz") as archive:
        for name in ("toy/charts/sub/values.schema.json", "toy/values.schema.json"):
            content = json.dumps(schema if name.count("/") == 1 else False).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setenv(charts.VARIABLE, str(tmp_path))


def test_a_valid_object_is_created_under_its_namespace_and_name(kubernetes: Simulation) -> None:
    id_, _ = kubernetes.create("urn::c", CONFIG_MAP, config_map(), preview=False)
    assert id_ == "mlflow/settings"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"data": {"a": 1}}, "ConfigMap is invalid: data.a"),
        ({"dada": {"a": "b"}}, "ConfigMap is invalid: object"),
        ({"metadata": {"name": "Not_A_Name"}}, "not an RFC 1123 subdomain"),
        ({"metadata": {}}, "missing required property 'metadata.name'"),
        ({"kind": "ConfigMop"}, "no match for kind"),
    ],
)
def test_what_the_api_server_would_refuse_is_refused(
    kubernetes: Simulation, changed: dict[str, Any], reason: str
) -> None:
    assert reason in " ".join(kubernetes.check("urn::c", CONFIG_MAP, config_map(**changed)))


def test_an_unknown_value_waits_for_its_turn(kubernetes: Simulation) -> None:
    assert kubernetes.check("urn::c", CONFIG_MAP, config_map(data={"a": UNKNOWN})) == []


def test_a_namespace_has_to_exist(kubernetes: Simulation) -> None:
    elsewhere = config_map(metadata={"name": "settings", "namespace": "nowhere"})
    with pytest.raises(CloudError, match='namespaces "nowhere" not found'):
        kubernetes.create("urn::c", CONFIG_MAP, elsewhere, preview=False)


def test_an_invalid_secret_does_not_show_its_value(kubernetes: Simulation) -> None:
    secret = config_map(kind="Secret", data=None, stringData={"pin": ["hunter2"]})
    (reason,) = kubernetes.check("urn::s", SECRET, secret)
    assert reason.startswith("Secret is invalid")
    assert "hunter2" not in reason


def test_a_changed_selector_replaces_a_deployment(kubernetes: Simulation) -> None:
    old, new = ({"spec": {"selector": {"matchLabels": {"app": app}}}} for app in ("a", "b"))
    found = kubernetes.diff("urn::d", "kubernetes:apps/v1:Deployment", "mlflow/d", Values(old), Values(new))
    assert found.replaces == ["spec.selector.matchLabels.app"]


@pytest.mark.usefixtures("chart_with_schema")
def test_a_releases_values_are_held_against_the_charts_schema(kubernetes: Simulation) -> None:
    assert kubernetes.check("urn::r", RELEASE, release(values={"replicas": 2})) == []
    (reason,) = kubernetes.check("urn::r", RELEASE, release(values={"replicas": "two", "replcas": 1}))
    assert "replicas: 'two' is not of type 'integer'" in reason
    assert "'replcas' was unexpected" in reason


@pytest.mark.usefixtures("chart_with_schema")
def test_a_value_that_is_not_known_yet_hides_only_itself(kubernetes: Simulation) -> None:
    assert kubernetes.check("urn::r", RELEASE, release(values={"replicas": UNKNOWN})) == []
    (reason,) = kubernetes.check("urn::r", RELEASE, release(values={"image": {"tag": 1}, "replicas": UNKNOWN}))
    assert "image.tag: 1 is not of type 'string'" in reason


def test_without_the_charts_package_values_are_not_judged(
    kubernetes: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(charts.VARIABLE, raising=False)
    assert kubernetes.check("urn::r", RELEASE, release(values={"replicas": "two"})) == []


def test_a_release_needs_a_version_and_a_namespace(kubernetes: Simulation) -> None:
    assert kubernetes.check("urn::r", RELEASE, release(version=None)) == ["missing required property 'version'"]
    with pytest.raises(CloudError, match='namespaces "nowhere" not found'):
        kubernetes.create("urn::r", RELEASE, release(namespace="nowhere"), preview=False)


@pytest.mark.parametrize("kubeconfig", ["nonsense", "clusters: []", "{: bad"])
def test_a_kubeconfig_without_a_cluster_is_refused_without_being_shown(kubernetes: Simulation, kubeconfig: str) -> None:
    with pytest.raises(CloudError, match="names no cluster") as caught:
        kubernetes.configure({"kubeconfig": kubeconfig})
    assert kubeconfig not in str(caught.value)
