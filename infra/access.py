"""The access table: what each workload may access.

Cloud identities, roles, key grants, service accounts, network egress, tests and docs/access-matrix.md derive from it. A
workload that is missing has no identity in the cloud, and access that is missing in its row is denied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Store(StrEnum):
    """The foundation's services that workloads access."""

    ARTIFACTS = "artifacts"
    REGISTRY = "registry"
    EXPERIMENTS = "experiments"
    TRACKING_DB = "tracking database"


class Access(StrEnum):
    READ = "read"
    WRITE = "read and write"
    # The database has logins of its own, so this grants network access only and no cloud role.
    CONNECT = "connect"


@dataclass(frozen=True)
class Workload:
    """A kind of pod: its namespace, its service account, its access, and whether it calls the tracking server."""

    name: str
    namespace: str
    service_account: str
    needs: Mapping[Store, Access] = field(default_factory=dict)
    calls_mlflow: bool = False


WORKLOADS = (
    # The tracking server only reads artifacts: clients upload them directly, with identities of their own.
    Workload("mlflow", "mlflow", "mlflow", {Store.ARTIFACTS: Access.READ, Store.TRACKING_DB: Access.CONNECT}),
    Workload(
        "training",
        "training",
        "training",
        {Store.ARTIFACTS: Access.WRITE, Store.EXPERIMENTS: Access.WRITE, Store.REGISTRY: Access.READ},
        calls_mlflow=True,
    ),
    Workload(
        "serving",
        "serving",
        "serving",
        {Store.ARTIFACTS: Access.READ, Store.EXPERIMENTS: Access.WRITE, Store.REGISTRY: Access.READ},
        calls_mlflow=True,
    ),
)
