"""Who may do what: the one table from which identities, roles, key grants, service accounts, network egress,
tests and docs/access-matrix.md are made.

A workload that is not in this table has no identity in the cloud; a need that is not in its row is denied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Store(StrEnum):
    """What the foundation keeps for workloads."""

    ARTIFACTS = "artifacts"
    REGISTRY = "registry"
    EXPERIMENTS = "experiments"
    TRACKING_DB = "tracking database"


class Access(StrEnum):
    READ = "read"
    WRITE = "read and write"
    # SQL logins are the database's own: the network lets the workload through, no cloud role is involved.
    CONNECT = "connect"


@dataclass(frozen=True)
class Workload:
    """One kind of pod: where it runs, as whom, and what it needs."""

    name: str
    namespace: str
    service_account: str
    needs: Mapping[Store, Access] = field(default_factory=dict)


WORKLOADS = (
    # The tracking server shows artifacts and never writes them: its clients do, under identities of their own.
    Workload("mlflow", "mlflow", "mlflow", {Store.ARTIFACTS: Access.READ, Store.TRACKING_DB: Access.CONNECT}),
    # MLflow's client uploads artifacts itself, so the server's identity would not help it.
    Workload(
        "training",
        "training",
        "training",
        {Store.ARTIFACTS: Access.WRITE, Store.EXPERIMENTS: Access.WRITE, Store.REGISTRY: Access.READ},
    ),
    Workload(
        "serving",
        "serving",
        "serving",
        {Store.ARTIFACTS: Access.READ, Store.EXPERIMENTS: Access.WRITE, Store.REGISTRY: Access.READ},
    ),
)
