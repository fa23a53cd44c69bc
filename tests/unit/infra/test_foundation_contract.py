"""The contract between a cloud and the platform, held against both clouds.

Proves that each cloud's `foundation` hands back a complete Foundation, that its parts are of the same kind on both
clouds, and that the two are laid out alike. What the resources behind the parts are like is each cloud's own test.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra.access import WORKLOADS, Store
from infra.contract import Endpoint, Foundation
from infra.core.component import Component
from tests.support.recording import is_secret, record_program, resolve, stack_context

CLOUDS = ("azure", "aws")
COMPONENTS: Mapping[str, str] = {
    "network": "Network",
    "observability": "Observability",
    "secrets": "Secrets",
    "registry": "Registry",
    "artifacts": "Artifacts",
    "database": "Database",
    "experiments": "Experiments",
    "cluster": "Cluster",
    "identity": "Identities",
    "training": "Training",
    "audit": "Audit",
}
# What one cloud needs several resources for and the other one: they serve the components above.
HELPERS: Mapping[str, frozenset[str]] = {"azure": frozenset(), "aws": frozenset({"bucket", "iam", "keys"})}
POOLS = {
    "systemPool": {"minimum": 2, "maximum": 5},
    "userPool": {"minimum": 1, "maximum": 9},
}


@dataclass(frozen=True)
class Handed:
    """What a cloud handed back, its outputs resolved while their program was at hand."""

    foundation: Foundation
    values: Mapping[str, Any]  # by path: `cluster.name`
    secrets: frozenset[str]  # paths


@pytest.fixture(scope="module", params=CLOUDS)
def handed(request: pytest.FixtureRequest) -> Handed:
    cloud = import_module(f"infra.{request.param}")
    context = stack_context(request.param, cluster=POOLS)
    _, foundation = record_program(lambda: cloud.create_foundation(context), stack=f"{request.param}-dev")
    outputs = dict(outputs_of(foundation))
    return Handed(
        foundation,
        {path: resolve(output) for path, output in outputs.items()},
        frozenset(path for path, output in outputs.items() if is_secret(output)),
    )


def outputs_of(part: Any, path: str = "") -> list[tuple[str, pulumi.Output[Any]]]:
    """Every output within a part of the contract, and where it stands."""
    if isinstance(part, pulumi.Output):
        return [(path, part)]
    inner: Mapping[str, Any] = {}
    if is_dataclass(part):
        inner = {field.name: getattr(part, field.name) for field in fields(part)}
    elif isinstance(part, Mapping):
        inner = part
    elif isinstance(part, list | tuple):
        inner = {str(index): item for index, item in enumerate(part)}
    return [found for name, item in inner.items() for found in outputs_of(item, f"{path}.{name}".lstrip("."))]


def test_it_is_a_complete_foundation(handed: Handed) -> None:
    assert isinstance(handed.foundation, Foundation)
    hints = inspect.get_annotations(Foundation, eval_str=True)
    for part in fields(Foundation):
        if isinstance(hints[part.name], type):
            assert isinstance(getattr(handed.foundation, part.name), hints[part.name]), part.name


def test_every_value_is_known_and_not_empty(handed: Handed) -> None:
    assert handed.values
    assert [path for path, known in handed.values.items() if not known] == []


def test_secrets_are_secret_and_nothing_else_is(handed: Handed) -> None:
    assert handed.secrets == {"cluster.kubeconfig", "tracking_db.password"}


def test_the_kubeconfig_names_the_cluster_and_holds_no_credential(handed: Handed) -> None:
    kubeconfig = handed.values["cluster.kubeconfig"]
    assert handed.values["cluster.name"] in kubeconfig
    assert not any(word in kubeconfig for word in ("client-key-data", "password", "token:"))


def test_every_workload_has_an_identity(handed: Handed) -> None:
    assert set(handed.foundation.identities) == {workload.name for workload in WORKLOADS}
    principals = [handed.values[f"identities.{workload.name}.principal"] for workload in WORKLOADS]
    assert len(set(principals)) == len(WORKLOADS)


def test_pods_can_reach_where_they_get_their_identity(handed: Handed) -> None:
    for identity in handed.foundation.identities.values():
        assert identity.token_endpoint is not None
        assert_answers(handed, identity.token_endpoint)


def test_every_store_has_an_endpoint(handed: Handed) -> None:
    assert set(handed.foundation.endpoints) == set(Store)
    for store, endpoint in handed.foundation.endpoints.items():
        assert_answers(handed, endpoint)
        assert endpoint.port == (5432 if store is Store.TRACKING_DB else 443)


def test_the_api_server_answers_inside_the_network(handed: Handed) -> None:
    assert handed.foundation.cluster.api.port == 443
    assert_answers(handed, handed.foundation.cluster.api)
    for cidr in addresses(handed, handed.foundation.cluster.api):
        assert IPv4Network(cidr).is_private


def test_pools_lie_in_three_zones_between_the_settings_bounds(handed: Handed) -> None:
    pools = {pool.name: pool for pool in handed.foundation.cluster.node_pools}
    assert {name: (pool.minimum, pool.maximum) for name, pool in pools.items()} == {"system": (2, 5), "user": (1, 9)}
    for pool in pools.values():
        assert len(set(pool.zones)) == 3
        assert pool.size
        assert pool.labels == {"groundwork/pool": pool.name}


def test_mlflow_finds_its_database_and_its_artifacts(handed: Handed) -> None:
    database = handed.foundation.tracking_db
    assert (database.port, database.database, database.username) == (5432, "mlflow", "mlflow")
    assert handed.values["artifacts.uri"].startswith(("s3://", "wasbs://"))
    assert "mlflow" in handed.values["artifacts.uri"]
    assert len(handed.values["tracking_db.password"]) >= 32
    assert handed.values["tracking_db.password"].isalnum(), "it becomes part of a URL"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_cloud_consists_of_the_same_files(cloud: str) -> None:
    folder = Path(inspect.getfile(import_module(f"infra.{cloud}"))).parent
    assert {path.stem for path in folder.glob("*.py")} == {"__init__", "foundation", *COMPONENTS, *HELPERS[cloud]}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("module", COMPONENTS)
def test_a_file_holds_one_component_and_its_arguments(cloud: str, module: str) -> None:
    content = import_module(f"infra.{cloud}.{module}")
    name = COMPONENTS[module]
    own = [item for _, item in inspect.getmembers(content, inspect.isclass) if item.__module__ == content.__name__]
    (component,) = [item for item in own if issubclass(item, Component)]
    assert component.__name__ == name
    assert component.layer == cloud
    assert is_dataclass(getattr(content, f"{name}Args"))
    assert list(inspect.signature(component.__init__).parameters) == ["self", "name", "args", "opts"]


def addresses(handed: Handed, endpoint: Endpoint) -> list[str]:
    """An endpoint's blocks, those that are outputs from what was resolved."""
    cidrs: Any = endpoint.cidrs
    if isinstance(cidrs, pulumi.Output):
        return next(
            known for path, known in handed.values.items() if dict(outputs_of(handed.foundation))[path] is cidrs
        )
    known = {id(output): handed.values[path] for path, output in outputs_of(handed.foundation)}
    return [known.get(id(cidr), cidr) for cidr in cidrs]


def assert_answers(handed: Handed, endpoint: Endpoint) -> None:
    blocks = addresses(handed, endpoint)
    assert blocks
    for block in blocks:
        IPv4Network(block)
    assert 0 < endpoint.port < 65536
