"""The sections of a stack's settings, each with the rules between its own fields."""

from __future__ import annotations

import ipaddress
from itertools import combinations
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from infra.core.settings.values import AuthorizedRange, Cidr, rule_error
from infra.core.settings.versions import KUBERNETES


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_default=True)


class NetworkSettings(Section):
    """The stack's network. Subnets are parts of `cidr`; blocks of pods and services lie outside it, unrouted."""

    cidr: Cidr = Field("10.20.0.0/16", description="address space of the VNet or VPC, /16 to /20")
    pod_cidr: Cidr = Field(
        "10.244.0.0/16", description="addresses of pods (AKS overlay; on EKS pods have addresses of `cidr`)"
    )
    service_cidr: Cidr = Field("172.20.0.0/16", description="addresses of Kubernetes services")
    hub: str = Field(
        "",
        description="network that this one is connected to: ID of a virtual network to peer with (Azure), or of a "
        "transit gateway to attach to (AWS); none connects it to no other network",
    )

    @model_validator(mode="after")
    def _blocks_fit(self) -> Self:
        block = ipaddress.IPv4Network(self.cidr)
        if not 16 <= block.prefixlen <= 20:
            raise rule_error(
                f"cidr {self.cidr} must be between /16 and /20: it holds the subnets of nodes, pods, private "
                "endpoints and databases in three zones",
                "use a block like 10.20.0.0/16",
            )
        blocks = {"cidr": self.cidr, "podCidr": self.pod_cidr, "serviceCidr": self.service_cidr}
        for first, second in combinations(blocks, 2):
            if ipaddress.IPv4Network(blocks[first]).overlaps(ipaddress.IPv4Network(blocks[second])):
                raise rule_error(
                    f"{first} {blocks[first]} overlaps {second} {blocks[second]}",
                    "give each its own block, for instance 10.20.0.0/16, 10.244.0.0/16 and 172.20.0.0/16",
                )
        return self


class NodePoolSettings(Section):
    """A pool of nodes across the location's three zones, which the autoscaler keeps between two bounds."""

    size: str = Field(min_length=1, description="instance size")
    minimum: int = Field(2, ge=1, le=100, description="minimum number of nodes")
    maximum: int = Field(10, ge=1, le=100, description="maximum number of nodes")

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if self.minimum > self.maximum:
            raise rule_error(
                f"minimum {self.minimum} is above maximum {self.maximum}",
                "raise the maximum or lower the minimum",
            )
        return self


def _describe_offers() -> str:
    return "; ".join(f"{calendar.service}: {', '.join(calendar.list_offered())}" for calendar in KUBERNETES.values())


class ClusterSettings(Section):
    kubernetes_version: str = Field(description="minor version of Kubernetes, " + _describe_offers())
    authorized_ranges: tuple[AuthorizedRange, ...] = Field(
        (), description="public CIDR blocks that may reach the Kubernetes API; none makes the API private"
    )
    private_access_from: tuple[Cidr, ...] = Field(
        (),
        description="private CIDR blocks, such as those of runners in a hub or of a VPN, that may reach the private "
        "Kubernetes API; every stack needs these or `authorizedRanges`",
    )
    admins: tuple[str, ...] = Field(
        (),
        description="who administers the cluster beside the identity that creates it: object IDs of Entra groups "
        "(Azure), or ARNs of IAM roles (AWS)",
    )
    login: Literal["azurecli", "workloadidentity", "msi", "spn", "devicecode"] = Field(
        "azurecli",
        description="how kubelogin signs in to the Kubernetes API, its option `--login`: azurecli, workloadidentity, "
        "msi, spn or devicecode; the variable AAD_LOGIN_METHOD overrides it (Azure; EKS always uses the AWS CLI)",
    )
    system_pool: NodePoolSettings = Field(description="for the platform's own services")
    user_pool: NodePoolSettings = Field(description="for models, training and MLflow")

    @model_validator(mode="after")
    def _api_can_be_reached(self) -> Self:
        if not self.authorized_ranges and not self.private_access_from:
            raise rule_error(
                "nobody could reach the Kubernetes API, through which the platform is installed: neither "
                "authorizedRanges nor privateAccessFrom is set",
                "set authorizedRanges to the public addresses of your runners and operators, which makes the API "
                "public to them alone; or keep it private and set privateAccessFrom to the ranges of a network that is "
                "connected to this one: by network.hub, or by a VPN or peering of your own, with a runner in it",
            )
        if self.authorized_ranges and self.private_access_from:
            raise rule_error(
                "authorizedRanges makes the Kubernetes API public, and privateAccessFrom is for a private one",
                "remove one of the two",
            )
        return self


class DatabaseSettings(Section):
    """The PostgreSQL server of MLflow."""

    size: str = Field(min_length=1, description="instance class")
    storage_gb: int = Field(64, ge=32, le=16384, description="disk size in GiB")
    backup_days: int = Field(ge=7, le=35, description="days of point-in-time restore")


class TrainingSettings(Section):
    """The cloud's managed training service, beside the cluster."""

    size: str = Field(min_length=1, description="instance size of training nodes")
    maximum_nodes: int = Field(4, ge=0, le=100, description="maximum number of low-priority nodes; the minimum is 0")


class TelemetrySettings(Section):
    retention_days: int = Field(ge=30, le=730, description="retention of logs in days")
    alert_email: str = Field(
        "",
        pattern=r"^([^@\s]+@[^@\s]+\.[^@\s]+)?$",
        description="address that alerts are sent to; none sends no alerts",
    )


class ResilienceSettings(Section):
    """Which failures and mistakes the stack and its data survive. Each fact costs money; the environment sets defaults.

    Components read these facts and never the environment.
    """

    deletion_protection: bool = Field(description="protect stores, keys and, on AWS, the cluster from deletion")
    retain_data: bool = Field(
        description="leave data behind when the stack is destroyed: a final snapshot of the database, home directories "
        "of notebooks, and buckets and repositories that are not empty (AWS)"
    )
    multi_zone_database: bool = Field(description="a standby of the PostgreSQL server in a second zone")
    multi_zone_experiments: bool = Field(
        description="replicas of the experiments' store in three zones (Azure; DynamoDB always has them)"
    )
    nat_gateway_per_zone: bool = Field(
        description="a NAT gateway in each zone, rather than one for all (AWS; Azure always has one)"
    )
    private_endpoint_per_zone: bool = Field(
        description="an interface endpoint of each AWS service in each zone, rather than in one (AWS)"
    )
    control_plane_sla: bool = Field(description="the AKS tier with an uptime SLA (Azure; EKS always has one)")
    provisioned_throughput: bool = Field(
        description="provisioned rather than serverless throughput of the experiments' store (Azure)"
    )
    replicas: int = Field(ge=1, le=5, description="replicas of MLflow, Prometheus, Alertmanager and Grafana")
    artifact_version_days: int = Field(
        ge=1, le=365, description="days that replaced and deleted artifacts can be restored"
    )
    experiments_backup_days: Literal[7, 30] = Field(
        description="days of point-in-time restore of the experiments' store, 7 or 30 (Azure; DynamoDB always has 35)"
    )
    secret_recovery_days: int = Field(
        ge=7, le=30, description="days that a deleted secret can be restored (AWS; Azure vaults always have 90)"
    )
