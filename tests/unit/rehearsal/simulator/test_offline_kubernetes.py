"""The offline validation of Kubernetes objects and Helm releases.

Not proven: what only a running API server decides, such as admission and scheduling.
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


def config_map(**changes: Any) -> Values:
    metadata = {"name": "settings", "namespace": "mlflow"}
    return Values({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}, **changes})


def release(**changes: Any) -> Values:
    return Values({"chart": "toy", "version": "1.0.0", "name": "toy", "namespace": "mlflow", "values": {}, **changes})


def find_problems(kubernetes: Simulation, type_: str, inputs: Values) -> list[str]:
    return kubernetes.check("urn:pulumi:s::p::t::thing", type_, inputs)[1]


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
    monkeypatch.setenv(charts.FOLDER_VARIABLE, str(tmp_path))


def test_a_valid_object_is_created_under_its_namespace_and_name(kubernetes: Simulation) -> None:
    id_, _ = kubernetes.create("urn::c", CONFIG_MAP, config_map(), preview=False)
    assert id_ == "mlflow/settings"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"data": {"a": 1}}, "ConfigMap is invalid: data.a"),
        ({"dada": {"a": "b"}}, "ConfigMap is invalid: object"),
        ({"metadata": {"name": "Not_A_Name"}}, "not an RFC 1123 subdomain"),
        ({"metadata": {"name": "a" * 254}}, "not an RFC 1123 subdomain"),
        ({"kind": "ConfigMop"}, "no match for kind"),
    ],
)
def test_invalid_objects_are_refused(kubernetes: Simulation, changed: dict[str, Any], reason: str) -> None:
    assert reason in " ".join(find_problems(kubernetes, CONFIG_MAP, config_map(**changed)))


def test_an_object_with_an_unknown_value_passes(kubernetes: Simulation) -> None:
    assert find_problems(kubernetes, CONFIG_MAP, config_map(data={"a": UNKNOWN})) == []


def test_the_namespace_must_exist(kubernetes: Simulation) -> None:
    elsewhere = config_map(metadata={"name": "settings", "namespace": "nowhere"})
    with pytest.raises(CloudError, match='namespaces "nowhere" not found'):
        kubernetes.create("urn::c", CONFIG_MAP, elsewhere, preview=False)


def test_an_error_about_a_secret_does_not_contain_its_value(kubernetes: Simulation) -> None:
    secret = config_map(kind="Secret", data=None, stringData={"pin": ["hunter2"]})
    (reason,) = find_problems(kubernetes, SECRET, secret)
    assert reason.startswith("Secret is invalid")
    assert "hunter2" not in reason


def test_a_changed_selector_replaces_a_deployment(kubernetes: Simulation) -> None:
    old, new = ({"spec": {"selector": {"matchLabels": {"app": app}}}} for app in ("a", "b"))
    found = kubernetes.diff("urn::d", "kubernetes:apps/v1:Deployment", "mlflow/d", Values(old), Values(new))
    assert found.replaces == ["spec.selector.matchLabels.app"]


@pytest.mark.usefixtures("chart_with_schema")
def test_the_values_of_a_release_are_validated_by_the_charts_schema(kubernetes: Simulation) -> None:
    assert find_problems(kubernetes, RELEASE, release(values={"replicas": 2})) == []
    (reason,) = find_problems(kubernetes, RELEASE, release(values={"replicas": "two", "replcas": 1}))
    assert "replicas: 'two' is not of type 'integer'" in reason
    assert "'replcas' was unexpected" in reason


@pytest.mark.usefixtures("chart_with_schema")
def test_a_value_that_the_chart_does_not_know_is_named_with_the_nearest(kubernetes: Simulation) -> None:
    (reason,) = find_problems(kubernetes, RELEASE, release(values={"replcas": 1}))
    assert reason.endswith(
        "Helm would ignore values that toy 1.0.0 does not know: replcas is not one of its values "
        "(the nearest is replicas). Remedy: correct or remove these keys in the values that the program passes to the "
        "release"
    )


@pytest.mark.usefixtures("chart_with_schema")
def test_an_unknown_value_does_not_hide_errors_in_others(kubernetes: Simulation) -> None:
    assert find_problems(kubernetes, RELEASE, release(values={"replicas": UNKNOWN})) == []
    (reason,) = find_problems(kubernetes, RELEASE, release(values={"image": {"tag": 1}, "replicas": UNKNOWN}))
    assert "image.tag: 1 is not of type 'string'" in reason


def test_without_the_chart_package_values_are_not_validated(
    kubernetes: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(charts.FOLDER_VARIABLE, raising=False)
    assert find_problems(kubernetes, RELEASE, release(values={"replicas": "two"})) == []


def test_a_release_needs_a_version_and_a_namespace(kubernetes: Simulation) -> None:
    (reason,) = find_problems(kubernetes, RELEASE, release(version=None))
    assert "set `version`" in reason
    with pytest.raises(CloudError, match='namespaces "nowhere" not found'):
        kubernetes.create("urn::r", RELEASE, release(namespace="nowhere"), preview=False)


@pytest.mark.parametrize("kubeconfig", ["nonsense", "clusters: []", "{: bad"])
def test_an_error_about_a_kubeconfig_does_not_contain_it(kubernetes: Simulation, kubeconfig: str) -> None:
    with pytest.raises(CloudError, match="names no cluster") as caught:
        kubernetes.configure({"kubeconfig": kubeconfig})
    assert kubeconfig not in str(caught.value)
