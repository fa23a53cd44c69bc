"""Defaults that differ by cloud or environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.core.settings.clouds import Cloud, Environment
from infra.core.settings.versions import KUBERNETES

# Default sizes of nodes: 4 vCPU and 16 GiB on both clouds.
NODE_SIZES = {Cloud.AZURE: "Standard_D4s_v5", Cloud.AWS: "m6i.xlarge"}
TRAINING_SIZES = {Cloud.AZURE: "Standard_D4s_v3", Cloud.AWS: "ml.m5.xlarge"}
# A tracking server is idle most of the time, which is what burstable classes are for.
BURSTABLE_DATABASE_SIZES = {Cloud.AZURE: "Standard_B2s", Cloud.AWS: "db.t4g.medium"}
DEDICATED_DATABASE_SIZES = {Cloud.AZURE: "Standard_D2ds_v5", Cloud.AWS: "db.m6g.large"}


def defaults(cloud: Cloud, environment: Environment) -> dict[str, Any]:
    """The settings that differ by cloud or environment, under their wire names."""
    production = environment is Environment.PROD
    node, databases = NODE_SIZES[cloud], DEDICATED_DATABASE_SIZES if production else BURSTABLE_DATABASE_SIZES
    # In production, one in each zone, so that two are left if a zone is lost.
    nodes = 3 if production else 2
    return {
        "cluster": {
            "kubernetesVersion": KUBERNETES[cloud].default,
            "systemPool": {"size": node, "minimum": nodes, "maximum": 6 if production else 3},
            "userPool": {"size": node, "minimum": nodes},
        },
        "database": {"size": databases[cloud], "backupDays": 35 if production else 7},
        "training": {"size": TRAINING_SIZES[cloud]},
        "experiments": {"retentionDays": 365 if production else 90},
        "drift": {"retentionDays": 90 if production else 30},
        # In production there are more requests than anybody could look at.
        "telemetry": {"retentionDays": 90 if production else 30, "tracePercent": 10 if production else 100},
        "resilience": {
            "deletionProtection": production,
            "retainData": production,
            "multiZoneDatabase": production,
            "multiZoneExperiments": production,
            "natGatewayPerZone": production,
            "privateEndpointPerZone": production,
            "controlPlaneSla": production,
            "provisionedThroughput": production,
            # Staging has two, to show how replicas affect each other before production does.
            "replicas": 1 if environment is Environment.DEV else 2,
            "artifactVersionDays": 90 if production or cloud is Cloud.AZURE else 30,
            "experimentsBackupDays": 30 if production else 7,
            "secretRecoveryDays": 30 if production else 7,
        },
    }


def merge(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` over `defaults`, section by section."""
    merged = dict(defaults)
    for key, value in values.items():
        default = merged.get(key)
        merged[key] = merge(default, value) if isinstance(default, Mapping) and isinstance(value, Mapping) else value
    return merged
