"""All settings of a stack, and the rules between its sections."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from infra.core.settings.clouds import Cloud, Environment
from infra.core.settings.defaults import DEDICATED_DATABASE_SIZES, defaults, merge
from infra.core.settings.limits import ADMINS, AZURE_DATABASE_DISKS, HUBS, LOCATIONS
from infra.core.settings.sections import (
    ClusterSettings,
    DatabaseSettings,
    NetworkSettings,
    ResilienceSettings,
    Section,
    TelemetrySettings,
    TrainingSettings,
)
from infra.core.settings.values import rule_error
from infra.core.settings.versions import KUBERNETES

_OPTIONAL_UUID = r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$"


class Settings(Section):
    """Everything that a stack file may contain under `groundwork:`."""

    cloud: Cloud = Field(description="azure or aws")
    environment: Environment = Field(description="class of defaults: dev, staging or prod")
    location: str = Field(description="region with three availability zones, as the cloud spells it")
    organization: str = Field(
        pattern=r"^[a-z][a-z0-9]{1,7}$",
        description="2 to 8 lower-case letters and digits, starting with a letter; part of every name in the cloud",
    )
    owner: str = Field(min_length=1, max_length=64, description="team that is responsible for the stack; a tag")
    cost_center: str = Field(
        "mlops", min_length=1, max_length=64, description="cost center that pays for the stack; a tag"
    )
    account: str = Field(
        "",
        pattern=r"^(\d{12})?$",
        description="ID of the only account that may be deployed to, 12 digits; none allows any (AWS)",
    )
    subscription: str = Field(
        "",
        pattern=_OPTIONAL_UUID,
        description="ID of the only subscription that may be deployed to; none uses the one of the credentials (Azure)",
    )
    tenant: str = Field(
        "",
        pattern=_OPTIONAL_UUID,
        description="ID of that subscription's Entra tenant; none uses the one of the credentials (Azure)",
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
        return merge(defaults(cloud, production=production), raw)

    @model_validator(mode="after")
    def _location_is_a_region_of_the_cloud(self) -> Self:
        if self.location not in LOCATIONS[self.cloud]:
            raise rule_error(
                f"location '{self.location}' is not a region of {self.cloud} with three availability zones",
                f"use a region such as {'westeurope' if self.cloud is Cloud.AZURE else 'eu-west-1'}; "
                "infra/core/settings/limits.py lists them all",
            )
        return self

    @model_validator(mode="after")
    def _kubernetes_version_is_offered(self) -> Self:
        version, calendar = self.cluster.kubernetes_version, KUBERNETES[self.cloud]
        if version not in calendar.list_offered():
            end = calendar.ends.get(version)
            raise rule_error(
                f"cluster.kubernetesVersion '{version}' is not offered: "
                + (
                    f"its standard support on {calendar.service} ends on {end}"
                    if end
                    else f"{calendar.service} has no such version"
                ),
                f"use one of {', '.join(calendar.list_offered())} (infra/core/settings/versions.py; {calendar.source})",
            )
        return self

    @model_validator(mode="after")
    def _accounts_are_of_the_cloud(self) -> Self:
        foreign = {Cloud.AZURE: ("account",), Cloud.AWS: ("subscription", "tenant")}[self.cloud]
        for name in foreign:
            if getattr(self, name):
                raise rule_error(
                    f"{name} '{getattr(self, name)}' has no meaning on {self.cloud}",
                    f"remove it; deployments to {self.cloud} are pinned by "
                    f"{'account' if self.cloud is Cloud.AWS else 'subscription and tenant'}",
                )
        return self

    @model_validator(mode="after")
    def _ids_have_the_form_of_the_cloud(self) -> Self:
        hubs = [self.network.hub] if self.network.hub else []
        for setting, values, (form, example) in (
            ("network.hub", hubs, HUBS[self.cloud]),
            ("cluster.admins", self.cluster.admins, ADMINS[self.cloud]),
        ):
            for value in values:
                if not re.fullmatch(form, value):
                    raise rule_error(
                        f"{setting} '{value}' does not have the form that {self.cloud} gives such IDs",
                        f"write it like {example}",
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
