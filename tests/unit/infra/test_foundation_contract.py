"""The contract between a cloud and the platform, tested on both clouds.

Proves that each cloud creates a complete Foundation, with members of the same types and values of the same kinds, and
that both packages have the same layout. The tests of each cloud cover the resources behind it.
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
from tests.support.recording import is_secret, record_program, resolve, resolve_resources, stack_context

pytestmark = pytest.mark.slow

CLOUDS = ("azure", "aws")
COMPONENTS: Mapping[str, str] = {
    "network": "Network",
    "observability": "Observability",
    "secrets": "Secrets",
    "registry": "Registry",
    "artifacts": "Artifacts",
    "telemetry_stores": "TelemetryStores",
    "database": "Database",
    "experiments": "Experiments",
    "cluster": "Cluster",
    "identity": "Identities",
    "training": "Training",
    "audit": "Audit",
    "queries": "Queries",
    "alerts": "Alerts",
    "budget": "Budget",
}
# Modules without a counterpart: several resources on one cloud can be a single one on the other.
HELPERS: Mapping[str, frozenset[str]] = {
    "azure": frozenset({"kubeconfig", "nodes", "storage_account"}),
    "aws": frozenset({"bucket", "iam", "karpenter", "keys", "kubeconfig", "load_balancing", "nodes", "pod_identity"}),
}
POOLS = {
    "systemPool": {"minimum": 2, "maximum": 5},
    "userPool": {"minimum": 1, "maximum": 9},
}


@dataclass(frozen=True)
class ResolvedFoundation:
    """A cloud's foundation, with its outputs resolved while the event loop of the program exists."""

    cloud: str
    foundation: Foundation
    logical_names: frozenset[str]  # each preceded by its type
    values: Mapping[str, Any]  # keyed by path: `cluster.name`
    secrets: frozenset[str]  # paths


@pytest.fixture(scope="module", params=CLOUDS)
def resolved(request: pytest.FixtureRequest) -> ResolvedFoundation:
    cloud = import_module(f"infra.{request.param}")
    context = stack_context(
        request.param, cluster=POOLS, telemetry={"alertEmail": "ml@example.com"}, cost={"monthlyBudget": 5000}
    )
    recorder, foundation = record_program(lambda: cloud.create_foundation(context), stack=f"{request.param}-dev")
    outputs = dict(outputs_of(foundation))
    return ResolvedFoundation(
        request.param,
        foundation,
        frozenset(f"{resource.type} {resource.name}" for resource in recorder.resources),
        {path: resolve(output) for path, output in outputs.items()},
        frozenset(path for path, output in outputs.items() if is_secret(output)),
    )


def outputs_of(member: Any, path: str = "") -> list[tuple[str, pulumi.Output[Any]]]:
    """Each output in a member of the contract, with its path."""
    if isinstance(member, pulumi.Output):
        return [(path, member)]
    inner: Mapping[str, Any] = {}
    if is_dataclass(member):
        inner = {field.name: getattr(member, field.name) for field in fields(member)}
    elif isinstance(member, Mapping):
        inner = member
    elif isinstance(member, list | tuple):
        inner = {str(index): item for index, item in enumerate(member)}
    return [output for name, item in inner.items() for output in outputs_of(item, f"{path}.{name}".lstrip("."))]


def test_the_foundation_is_complete(resolved: ResolvedFoundation) -> None:
    assert isinstance(resolved.foundation, Foundation)
    hints = inspect.get_annotations(Foundation, eval_str=True)
    for member in fields(Foundation):
        if isinstance(hints[member.name], type):
            assert isinstance(getattr(resolved.foundation, member.name), hints[member.name]), member.name


def test_every_value_is_known_and_not_empty(resolved: ResolvedFoundation) -> None:
    assert resolved.values
    assert [path for path, known in resolved.values.items() if not known] == []


def test_secrets_are_secret_and_nothing_else_is(resolved: ResolvedFoundation) -> None:
    assert resolved.secrets == {"cluster.kubeconfig", "tracking_db.password", "lifecycle_db.password"}


def test_the_kubeconfig_names_the_cluster_and_contains_no_credential(resolved: ResolvedFoundation) -> None:
    kubeconfig = resolved.values["cluster.kubeconfig"]
    assert resolved.values["cluster.name"] in kubeconfig
    assert not any(word in kubeconfig for word in ("client-key-data", "password", "token:"))


def test_every_workload_has_an_identity(resolved: ResolvedFoundation) -> None:
    assert set(resolved.foundation.identities) == {workload.name for workload in WORKLOADS}
    principals = [resolved.values[f"identities.{workload.name}.principal"] for workload in WORKLOADS]
    assert len(set(principals)) == len(WORKLOADS)


def test_a_principal_is_known_once_pods_can_use_the_identity(resolved: ResolvedFoundation) -> None:
    """Service accounts name it, so pods wait for it: on EKS a pod that starts earlier has no credentials."""
    uses = {"azure": "FederatedIdentityCredential", "aws": "PodIdentityAssociation"}[resolved.cloud]
    for name, identity in resolved.foundation.identities.items():
        assert uses in {type(one).__name__ for one in resolve_resources(identity.principal)}, name


def test_identities_have_reachable_token_endpoints(resolved: ResolvedFoundation) -> None:
    for identity in resolved.foundation.identities.values():
        assert identity.token_endpoint is not None
        assert_has_addresses(resolved, identity.token_endpoint)


def test_every_store_has_an_endpoint(resolved: ResolvedFoundation) -> None:
    assert set(resolved.foundation.endpoints) == set(Store)
    for store, endpoint in resolved.foundation.endpoints.items():
        assert_has_addresses(resolved, endpoint)
        assert endpoint.port == (5432 if store in (Store.TRACKING_DB, Store.LIFECYCLE_DB) else 443)


def test_the_api_server_has_private_addresses(resolved: ResolvedFoundation) -> None:
    assert resolved.foundation.cluster.api.port == 443
    assert_has_addresses(resolved, resolved.foundation.cluster.api)
    for cidr in addresses(resolved, resolved.foundation.cluster.api):
        assert IPv4Network(cidr).is_private


def test_pools_have_three_zones_and_the_bounds_of_the_settings(resolved: ResolvedFoundation) -> None:
    pools = {pool.name: pool for pool in resolved.foundation.cluster.node_pools}
    assert {name: (pool.minimum, pool.maximum) for name, pool in pools.items()} == {"system": (2, 5), "user": (1, 9)}
    for pool in pools.values():
        assert len(set(pool.zones)) == 3
        assert pool.size
        assert pool.labels == {"groundwork/pool": pool.name}


def test_the_database_and_the_artifacts_are_those_of_mlflow(resolved: ResolvedFoundation) -> None:
    database = resolved.foundation.tracking_db
    assert (database.port, database.database, database.username) == (5432, "mlflow", "mlflow")
    assert resolved.values["artifacts.uri"].startswith(("s3://", "wasbs://"))
    assert "mlflow" in resolved.values["artifacts.uri"]
    assert len(resolved.values["tracking_db.password"]) >= 32
    assert resolved.values["tracking_db.password"].isalnum(), "it becomes part of a URL"


def test_logical_names_do_not_change(resolved: ResolvedFoundation) -> None:
    """A resource with a new logical name is created, and the old one deleted, unless it has an alias."""
    file = f"tests/unit/infra/logical_names/{resolved.cloud}.txt"
    lines = (Path(__file__).parent / "logical_names" / f"{resolved.cloud}.txt").read_text().splitlines()
    assert lines == sorted(lines), f"{file} is not sorted"
    added, gone = sorted(resolved.logical_names - {*lines}), sorted({*lines} - resolved.logical_names)
    assert added == [], f"new resources: add these lines to {file}, in order:\n" + "\n".join(added)
    assert gone == [], f"gone or renamed: alias these, or remove them from {file}:\n" + "\n".join(gone)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_clouds_consist_of_the_same_modules(cloud: str) -> None:
    folder = Path(inspect.getfile(import_module(f"infra.{cloud}"))).parent
    assert {path.stem for path in folder.glob("*.py")} == {"__init__", "foundation", *COMPONENTS, *HELPERS[cloud]}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("module", COMPONENTS)
def test_a_module_has_one_component_and_its_arguments(cloud: str, module: str) -> None:
    content = import_module(f"infra.{cloud}.{module}")
    name = COMPONENTS[module]
    own = [item for _, item in inspect.getmembers(content, inspect.isclass) if item.__module__ == content.__name__]
    (component,) = [item for item in own if issubclass(item, Component)]
    assert component.__name__ == name
    assert component.layer == cloud
    assert component.__doc__
    assert is_dataclass(getattr(content, f"{name}Args"))
    assert list(inspect.signature(component.__init__).parameters) == ["self", "name", "args", "opts"]


def addresses(resolved: ResolvedFoundation, endpoint: Endpoint) -> list[str]:
    """The CIDR blocks of an endpoint; blocks that are outputs come from the resolved values."""
    cidrs: Any = endpoint.cidrs
    if isinstance(cidrs, pulumi.Output):
        return next(
            known for path, known in resolved.values.items() if dict(outputs_of(resolved.foundation))[path] is cidrs
        )
    known = {id(output): resolved.values[path] for path, output in outputs_of(resolved.foundation)}
    return [known.get(id(cidr), cidr) for cidr in cidrs]


def assert_has_addresses(resolved: ResolvedFoundation, endpoint: Endpoint) -> None:
    blocks = addresses(resolved, endpoint)
    assert blocks
    for block in blocks:
        IPv4Network(block)
    assert 0 < endpoint.port < 65536
