"""Stack settings: what a stack may say, what it gets when it says nothing, and what is refused.

Every setting has a type, a bound and a default here and nowhere else; a stack file states only what
differs. All that is wrong with a stack is reported at once, before any resource is declared, each with the
setting, its value, the rule and the remedy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

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
# left out because it offers new accounts two zones only.
AWS_LOCATIONS = frozenset(
    "af-south-1 ap-east-1 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 "
    "ap-southeast-2 ap-southeast-3 ap-southeast-4 ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 "
    "eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 sa-east-1 "
    "us-east-1 us-east-2 us-west-2".split()
)
LOCATIONS = {Cloud.AZURE: AZURE_LOCATIONS, Cloud.AWS: AWS_LOCATIONS}

# KServe 0.20 needs 1.32 or later; AKS and EKS offer these under standard support.
KUBERNETES_VERSIONS = ("1.32", "1.33", "1.34")

# What a node of each pool is when the stack does not say: 4 vCPU and 16 GiB, on both clouds.
NODE_SIZES = {Cloud.AZURE: "Standard_D4s_v5", Cloud.AWS: "m6i.xlarge"}
TRAINING_SIZES = {Cloud.AZURE: "Standard_D4s_v3", Cloud.AWS: "ml.m5.xlarge"}
DATABASE_SIZES = {
    # Burstable classes suit a tracking server that is mostly idle; production gets dedicated cores.
    (Cloud.AZURE, False): "Standard_B2s",
    (Cloud.AZURE, True): "Standard_D2ds_v5",
    (Cloud.AWS, False): "db.t4g.medium",
    (Cloud.AWS, True): "db.m6g.large",
}


# Premium SSD sizes, GiB. Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-storage
AZURE_DATABASE_DISKS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)

_RFC_1918 = tuple(ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def refuse(rule: str, remedy: str) -> PydanticCustomError:
    """An error that says which rule a value breaks and how to mend it."""
    return PydanticCustomError("groundwork", "{rule}", {"rule": rule, "remedy": remedy})


def _network(value: str) -> str:
    try:
        block = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise refuse(
            f"must be an IPv4 CIDR block ({error})", "write it like 10.20.0.0/16, with no host bits set"
        ) from None
    if not any(block.subnet_of(private) for private in _RFC_1918):
        raise refuse("must lie in a private range (RFC 1918)", "use a block of 10/8, 172.16/12 or 192.168/16")
    return str(block)


def _allowed_range(value: str) -> str:
    try:
        block = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise refuse(f"must be an IPv4 CIDR block ({error})", "write it like 203.0.113.0/24") from None
    if block.prefixlen < 8:
        raise refuse(
            "opens the Kubernetes API to most of the internet",
            "name the ranges your runners and people come from, or leave the list empty for a private API",
        )
    return str(block)


Cidr = Annotated[str, AfterValidator(_network)]
AllowedRange = Annotated[str, AfterValidator(_allowed_range)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_default=True)


class NetworkSettings(Section):
    """The stack's own network. Subnets are cut from `cidr`; pods and services live beside it, unrouted."""

    cidr: Cidr = Field("10.20.0.0/16", description="address space of the VNet or VPC, /16 to /20")
    pod_cidr: Cidr = Field("10.244.0.0/16", description="pods' addresses (AKS overlay; EKS takes them from cidr)")
    service_cidr: Cidr = Field("172.20.0.0/16", description="Kubernetes services' addresses")

    @model_validator(mode="after")
    def _blocks_fit(self) -> Self:
        block = ipaddress.IPv4Network(self.cidr)
        if not 16 <= block.prefixlen <= 20:
            raise refuse(
                f"cidr {self.cidr} must be between /16 and /20: six subnets for nodes, pods and private "
                "endpoints in three zones are cut from it",
                "use a block like 10.20.0.0/16",
            )
        named = {"cidr": self.cidr, "podCidr": self.pod_cidr, "serviceCidr": self.service_cidr}
        pairs = [(a, b) for a in named for b in named if a < b]
        for first, second in pairs:
            if ipaddress.IPv4Network(named[first]).overlaps(ipaddress.IPv4Network(named[second])):
                raise refuse(
                    f"{first} {named[first]} overlaps {second} {named[second]}",
                    "give each its own block, for instance 10.20.0.0/16, 10.244.0.0/16 and 172.20.0.0/16",
                )
        return self


class NodePoolSettings(Section):
    """One pool of nodes, spread over the location's zones and scaled between two bounds."""

    size: str = Field(min_length=1, description="instance size")
    minimum: int = Field(2, ge=1, le=100, description="fewest nodes")
    maximum: int = Field(10, ge=1, le=100, description="most nodes")

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if self.minimum > self.maximum:
            raise refuse(
                f"minimum {self.minimum} is above maximum {self.maximum}",
                "raise the maximum or lower the minimum",
            )
        return self


class ClusterSettings(Section):
    kubernetes_version: str = Field("1.33", description=f"one of {', '.join(KUBERNETES_VERSIONS)}")
    authorized_ranges: tuple[AllowedRange, ...] = Field(
        (), description="CIDR blocks that may reach the Kubernetes API; empty keeps it private to the network"
    )
    system_pool: NodePoolSettings = Field(description="for the platform's own services")
    user_pool: NodePoolSettings = Field(description="for models, training and MLflow")

    @model_validator(mode="after")
    def _version_is_supported(self) -> Self:
        if self.kubernetes_version not in KUBERNETES_VERSIONS:
            raise refuse(
                f"kubernetesVersion '{self.kubernetes_version}' is not supported",
                f"use one of {', '.join(KUBERNETES_VERSIONS)} (KServe 0.20 needs 1.32 or later)",
            )
        return self


class DatabaseSettings(Section):
    """PostgreSQL behind MLflow."""

    size: str = Field(min_length=1, description="instance class")
    storage_gb: int = Field(64, ge=32, le=16384, description="disk, GiB")
    backup_days: int = Field(ge=7, le=35, description="days of point-in-time restore")


class TrainingSettings(Section):
    """The clouds' own training service, beside the cluster."""

    size: str = Field(min_length=1, description="instance size of the compute")
    maximum_nodes: int = Field(4, ge=0, le=100, description="most low-priority nodes; it idles at 0")


class TelemetrySettings(Section):
    retention_days: int = Field(ge=30, le=730, description="days that logs are kept")
    alert_email: str = Field("", pattern=r"^([^@\s]+@[^@\s]+\.[^@\s]+)?$", description="who hears of alerts")


class Settings(Section):
    """All that a stack file may say under `groundwork:`."""

    cloud: Cloud = Field(description="azure or aws")
    environment: Environment = Field(description="dev, staging or prod")
    location: str = Field(description="region with three zones, in the cloud's own spelling")
    organization: str = Field(
        pattern=r"^[a-z][a-z0-9]{1,7}$",
        description="2 to 8 lower-case letters and digits; part of every name that must be unique worldwide",
    )
    owner: str = Field(min_length=1, max_length=64, description="team that answers for the stack; a tag")
    cost_center: str = Field("mlops", min_length=1, max_length=64, description="who pays; a tag")
    network: NetworkSettings = NetworkSettings()
    cluster: ClusterSettings
    database: DatabaseSettings
    training: TrainingSettings
    telemetry: TelemetrySettings

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, raw: Any) -> Any:
        """Complete what depends on cloud and environment, so that no other module has to know defaults."""
        if not isinstance(raw, Mapping):
            return raw
        # A cloud that is none is reported by its own field; any will do for the defaults of the others.
        cloud = Cloud.AWS if raw.get("cloud") == Cloud.AWS else Cloud.AZURE
        production = raw.get("environment") == Environment.PROD
        node = NODE_SIZES[cloud]
        defaults: dict[str, Any] = {
            "cluster": {"systemPool": {"size": node, "minimum": 2, "maximum": 3}, "userPool": {"size": node}},
            "database": {"size": DATABASE_SIZES[cloud, production], "backupDays": 35 if production else 7},
            "training": {"size": TRAINING_SIZES[cloud]},
            "telemetry": {"retentionDays": 90 if production else 30},
        }
        return _merge(defaults, raw)

    @model_validator(mode="after")
    def _location_belongs_to_cloud(self) -> Self:
        if self.location not in LOCATIONS[self.cloud]:
            raise refuse(
                f"location '{self.location}' is not a region of {self.cloud} with three availability zones",
                f"use one like {'westeurope' if self.cloud is Cloud.AZURE else 'eu-west-1'}; "
                "infra/core/settings.py lists them all",
            )
        return self

    @model_validator(mode="after")
    def _disk_can_be_had(self) -> Self:
        if self.cloud is Cloud.AZURE and self.database.storage_gb not in AZURE_DATABASE_DISKS:
            raise refuse(
                f"database.storageGb {self.database.storage_gb} is not a disk of Azure Database for PostgreSQL",
                f"use one of {', '.join(map(str, AZURE_DATABASE_DISKS))}",
            )
        return self

    @property
    def production(self) -> bool:
        return self.environment is Environment.PROD

    @property
    def stack(self) -> str:
        return f"{self.cloud}-{self.environment}"


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
