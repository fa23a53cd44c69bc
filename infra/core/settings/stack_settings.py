"""All settings of a stack. The rules that they follow in addition to their types are in `rules`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from infra.core.settings.clouds import Cloud, Environment
from infra.core.settings.cost import CostSettings
from infra.core.settings.defaults import defaults, merge
from infra.core.settings.experiment_sections import DriftSettings, ExperimentsSettings
from infra.core.settings.retraining_section import RetrainingSettings
from infra.core.settings.sections import (
    ClusterSettings,
    DatabaseSettings,
    NetworkSettings,
    ResilienceSettings,
    Section,
    TelemetrySettings,
    TrainingSettings,
)
from infra.core.settings.service_sections import (
    AlertingSettings,
    GatewaySettings,
    GitopsSettings,
    ImageSettings,
    LifecycleSettings,
    PipelinesSettings,
    SsoSettings,
)
from infra.core.settings.values import AwsAccount, Organization, Tags, TagValue, Uuid, WeeklyTime


class Settings(Section):
    """Everything that a stack file may contain under `groundwork:`."""

    cloud: Cloud = Field(examples=["azure", "aws"], description="the cloud that the stack is deployed to")
    environment: Environment = Field(examples=["dev"], description="class of defaults")
    location: str = Field(
        examples=["westeurope", "eu-west-1"],
        description="region with three availability zones, as the cloud spells it: one of those listed below",
    )
    organization: Organization = Field(
        examples=["acme"],
        description="2 to 8 lower-case letters and digits, starting with a letter; part of every name in the cloud",
    )
    owner: TagValue = Field(examples=["ml-platform"], description="team that is responsible for the stack; a tag")
    cost_center: TagValue = Field("mlops", examples=["4711"], description="cost center that pays for the stack; a tag")
    tags: Tags = Field(
        {},
        examples=[{"team": "recommendations", "data-class": "internal"}],
        description="additional tags for every resource that supports tags",
    )
    account: AwsAccount = Field(
        "",
        examples=["111122223333"],
        description="ID of the only account that may be deployed to, 12 digits; if empty, any account (AWS)",
    )
    subscription: Uuid = Field(
        "",
        examples=["11111111-2222-3333-4444-555555555555"],
        description="ID of the only subscription that may be deployed to; if empty, that of the credentials (Azure)",
    )
    tenant: Uuid = Field(
        "",
        examples=["11111111-2222-3333-4444-555555555555"],
        description="ID of that subscription's Entra tenant; if empty, that of the credentials (Azure)",
    )
    # Neither the hours in which most people work, nor those of the nightly training.
    maintenance: WeeklyTime = Field(
        "Sunday 22:00",
        examples=["Saturday 01:00"],
        description="day of the week and hour, in UTC, at which the four hours begin in which the clouds upgrade the "
        "cluster and its nodes and maintain the database, and Karpenter replaces nodes that differ from its pools",
    )
    network: NetworkSettings = NetworkSettings()
    cluster: ClusterSettings
    gateway: GatewaySettings = GatewaySettings()
    database: DatabaseSettings
    training: TrainingSettings
    telemetry: TelemetrySettings
    alerting: AlertingSettings = AlertingSettings()
    cost: CostSettings = CostSettings()
    gitops: GitopsSettings = GitopsSettings()
    images: ImageSettings = ImageSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    experiments: ExperimentsSettings
    drift: DriftSettings
    retraining: RetrainingSettings = RetrainingSettings()
    pipelines: PipelinesSettings = PipelinesSettings()
    sso: SsoSettings = SsoSettings()
    resilience: ResilienceSettings

    @model_validator(mode="before")
    @classmethod
    def _add_defaults(cls, raw: Any) -> Any:
        """Add the defaults that depend on cloud and environment."""
        if not isinstance(raw, Mapping):
            return raw
        # An invalid cloud or environment is reported by its own field; the other settings need some defaults anyway.
        cloud = Cloud.AWS if raw.get("cloud") == Cloud.AWS else Cloud.AZURE
        environment = next((each for each in Environment if raw.get("environment") == each), Environment.DEV)
        return merge(defaults(cloud, environment), raw)

    def dump(self) -> dict[str, Any]:
        """All settings, defaults included, as a stack's file would have them."""
        return self.model_dump(by_alias=True, mode="json")
