"""People and their roles: what the members of a group may do in each service.

Groups are settings (`sso.adminGroup`, `sso.viewerGroup`) and the only way to a role: people who are in neither of them
may do nothing. Workloads are in `access.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from infra.core.settings import SsoSettings


class Service(StrEnum):
    """A service that people use; also the first label of its name below the stack's domain."""

    ARGO_CD = "argocd"
    EXPERIMENTS = "experiments"
    GRAFANA = "grafana"
    MLFLOW = "mlflow"


# The header in which the gateway passes on a person's ID token.
ID_TOKEN_HEADER = "X-Id-Token"  # noqa: S105 a header's name


class Permission(StrEnum):
    READ = "read"
    WRITE = "read and write"


@dataclass(frozen=True)
class Role:
    name: str
    permissions: Mapping[Service, Permission]


# For readers, the gateway admits only requests that read from the APIs of MLflow and of experiments.
ADMIN = Role("admin", dict.fromkeys(Service, Permission.WRITE))
VIEWER = Role("viewer", dict.fromkeys(Service, Permission.READ))
ROLES = (ADMIN, VIEWER)


def list_groups(sso: SsoSettings, service: Service) -> Iterator[tuple[str, Permission]]:
    """The groups that may use a service, those with more permissions first."""
    for group, role in ((sso.admin_group, ADMIN), (sso.viewer_group, VIEWER)):
        if group and service in role.permissions:
            yield group, role.permissions[service]
