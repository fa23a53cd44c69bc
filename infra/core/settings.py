"""Stack settings: types, bounds and defaults.

This module is the only place that states them; a stack file contains only what differs from the defaults. All invalid
settings of a stack are reported together, before any resource is declared: each with its value, the rule that it
breaks and the remedy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from itertools import combinations
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


class Cloud(StrEnum):
    AZURE = "azure"
    AWS = "aws"


class Environment(StrEnum):
    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"


# Regions with three availability zones.
# Source: https://learn.microsoft.com/azure/reliability/regions-list
AZURE_LOCATIONS = frozenset(
    "australiaeast brazilsouth canadacentral centralindia centralus eastasia eastus eastus2 francecentral "
    "germanywestcentral israelcentral italynorth japaneast japanwest koreacentral mexicocentral "
    "newzealandnorth northeurope norwayeast polandcentral qatarcentral southafricanorth southcentralus "
    "southeastasia spaincentral swedencentral switzerlandnorth uaenorth uksouth westeurope westus2 "
    "westus3".split()
)
# Source: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html; us-west-1 is
# missing because it offers new accounts only two zones.
AWS_LOCATIONS = frozenset(
    "af-south-1 ap-east-1 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 "
    "ap-southeast-2 ap-southeast-3 ap-southeast-4 ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 "
    "eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 sa-east-1 "
    "us-east-1 us-east-2 us-west-2".split()
)
LOCATIONS = {Cloud.AZURE: AZURE_LOCATIONS, Cloud.AWS: AWS_LOCATIONS}

# KServe 0.20 needs 1.32 or later. AKS and EKS offer all of these under standard support.
KUBERNETES_VERSIONS = ("1.32", "1.33", "1.34")

# Default sizes of nodes: 4 vCPU and 16 GiB on both clouds.
NODE_SIZES = {Cloud.AZURE: "Standard_D4s_v5", Cloud.AWS: "m6i.xlarge"}
TRAINING_SIZES = {Cloud.AZURE: "Standard_D4s_v3", Cloud.AWS: "ml.m5.xlarge"}
# A tracking server is idle most of the time, which burstable classes are made for.
BURSTABLE_DATABASE_SIZES = {Cloud.AZURE: "Standard_B2s", Cloud.AWS: "db.t4g.medium"}
DEDICATED_DATABASE_SIZES = {Cloud.AZURE: "Standard_D2ds_v5", Cloud.AWS: "db.m6g.large"}

# Premium SSD sizes, GiB. Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-storage
AZURE_DATABASE_DISKS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)

_RFC_1918 = tuple(ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def rule_error(rule: str, remedy: str) -> PydanticCustomError:
    """A validation error for a value that breaks `rule`; `remedy` tells the reader how to correct it."""
    return PydanticCustomError("groundwork", "{rule}", {"rule": rule, "remedy": remedy})


def _validate_network(value: str) -> str:
    try:
        block = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise rule_error(
            f"must be an IPv4 CIDR block ({error})", "write it like 10.20.0.0/16, with no host bits set"
        ) from None
    if not any(block.subnet_of(private) for private in _RFC_1918):
        raise rule_error("must be in a private range (RFC 1918)", "use a block of 10/8, 172.16/12 or 192.168/16")
    return str(block)


def _validate_authorized_range(value: str) -> str:
    try:
        block = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise rule_error(f"must be an IPv4 CIDR block ({error})", "write it like 203.0.113.0/24") from None
    if block.prefixlen < 8:
        raise rule_error(
            "opens the Kubernetes API to most of the internet",
            "list the ranges of your runners and operators, or leave the list empty for a private API",
        )
    return str(block)


Cidr = Annotated[str, AfterValidator(_validate_network)]
AuthorizedRange = Annotated[str, AfterValidator(_validate_authorized_range)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_default=True)


class NetworkSettings(Section):
    """The stack's network. Subnets are parts of `cidr`; blocks of pods and services lie outside it, unrouted."""

    cidr: Cidr = Field("10.20.0.0/16", description="address space of the VNet or VPC, /16 to /20")
    pod_cidr: Cidr = Field(
        "10.244.0.0/16", description="addresses of pods (AKS overlay; on EKS pods have addresses of `cidr`)"
    )
    service_cidr: Cidr = Field("172.20.0.0/16", description="addresses of Kubernetes services")

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


class ClusterSettings(Section):
    kubernetes_version: str = Field("1.33", description=f"one of {', '.join(KUBERNETES_VERSIONS)}")
    authorized_ranges: tuple[AuthorizedRange, ...] = Field(
        (), description="CIDR blocks that may reach the Kubernetes API; none makes it private to the network"
    )
    system_pool: NodePoolSettings = Field(description="for the platform's own services")
    user_pool: NodePoolSettings = Field(description="for models, training and MLflow")

    @model_validator(mode="after")
    def _version_is_supported(self) -> Self:
        if self.kubernetes_version not in KUBERNETES_VERSIONS:
            raise rule_error(
                f"kubernetesVersion '{self.kubernetes_version}' is not supported",
                f"use one of {', '.join(KUBERNETES_VERSIONS)} (KServe 0.20 needs 1.32 or later)",
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


class Settings(Section):
    """Everything that a stack file may contain under `groundwork:`."""

    cloud: Cloud = Field(description="azure or aws")
    environment: Environment = Field(description="dev, staging or prod")
    location: str = Field(description="region with three availability zones, as the cloud spells it")
    organization: str = Field(
        pattern=r"^[a-z][a-z0-9]{1,7}$",
        description="2 to 8 lower-case letters and digits; part of every globally unique name",
    )
    owner: str = Field(min_length=1, max_length=64, description="team that is responsible for the stack; a tag")
    cost_center: str = Field(
        "mlops", min_length=1, max_length=64, description="cost center that pays for the stack; a tag"
    )
    network: NetworkSettings = NetworkSettings()
    cluster: ClusterSettings
    database: DatabaseSettings
    training: TrainingSettings
    telemetry: TelemetrySettings
    resilience: ResilienceSettings

    @model_validator(mode="before")
    @classmethod
    def _add_defaults(cls, raw: Any) -> Any:
        """Add the defaults that depend on cloud and environment."""
        if not isinstance(raw, Mapping):
            return raw
        # An invalid cloud or environment is reported by its own field; the other settings need some defaults anyway.
        cloud = Cloud.AWS if raw.get("cloud") == Cloud.AWS else Cloud.AZURE
        production = raw.get("environment") == Environment.PROD
        return _merge(_defaults(cloud, production=production), raw)

    @model_validator(mode="after")
    def _location_is_a_region_of_the_cloud(self) -> Self:
        if self.location not in LOCATIONS[self.cloud]:
            raise rule_error(
                f"location '{self.location}' is not a region of {self.cloud} with three availability zones",
                f"use a region such as {'westeurope' if self.cloud is Cloud.AZURE else 'eu-west-1'}; "
                "infra/core/settings.py lists them all",
            )
        return self

    @model_validator(mode="after")
    def _database_disk_exists(self) -> Self:
        if self.cloud is Cloud.AZURE and self.database.storage_gb not in AZURE_DATABASE_DISKS:
            raise rule_error(
                f"database.storageGb {self.database.storage_gb} is not a disk size of Azure Database for PostgreSQL",
                f"use one of {', '.join(map(str, AZURE_DATABASE_DISKS))}",
            )
        return self

    @model_validator(mode="after")
    def _database_size_supports_a_standby(self) -> Self:
        """Source: https://learn.microsoft.com/azure/reliability/reliability-postgresql-flexible-server"""
        if self.cloud is Cloud.AZURE and self.resilience.multi_zone_database and "_B" in self.database.size:
            raise rule_error(
                f"database.size {self.database.size} is burstable, and such servers cannot have a standby in a second "
                "zone (resilience.multiZoneDatabase)",
                f"use a size such as {DEDICATED_DATABASE_SIZES[self.cloud]}, or set resilience.multiZoneDatabase to "
                "false",
            )
        return self

    @property
    def stack(self) -> str:
        return f"{self.cloud}-{self.environment}"


def _defaults(cloud: Cloud, *, production: bool) -> dict[str, Any]:
    """The settings that differ by cloud or environment, under their wire names."""
    node, databases = NODE_SIZES[cloud], DEDICATED_DATABASE_SIZES if production else BURSTABLE_DATABASE_SIZES
    return {
        "cluster": {"systemPool": {"size": node, "minimum": 2, "maximum": 3}, "userPool": {"size": node}},
        "database": {"size": databases[cloud], "backupDays": 35 if production else 7},
        "training": {"size": TRAINING_SIZES[cloud]},
        "telemetry": {"retentionDays": 90 if production else 30},
        "resilience": {
            "deletionProtection": production,
            "retainData": production,
            "multiZoneDatabase": production,
            "multiZoneExperiments": production,
            "natGatewayPerZone": production,
            "privateEndpointPerZone": production,
            "controlPlaneSla": production,
            "provisionedThroughput": production,
            "replicas": 2 if production else 1,
            "artifactVersionDays": 90 if production or cloud is Cloud.AZURE else 30,
            "experimentsBackupDays": 30 if production else 7,
            "secretRecoveryDays": 30 if production else 7,
        },
    }


def _merge(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` over `defaults`, section by section."""
    merged = dict(defaults)
    for key, value in values.items():
        default = merged.get(key)
        merged[key] = _merge(default, value) if isinstance(default, Mapping) and isinstance(value, Mapping) else value
    return merged
