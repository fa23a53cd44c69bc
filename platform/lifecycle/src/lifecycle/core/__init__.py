"""Code that all lifecycle packages share: model versions, names, the model registry, settings, errors."""

from lifecycle.core.errors import ArtifactError, LifecycleError, RegistryError, SettingsError, UnreachableError
from lifecycle.core.model_version import Lineage, ModelVersion, RegisteredVersion
from lifecycle.core.names import CHALLENGER, CHAMPION, ROLES, Action, Status
from lifecycle.core.notifications import Notification, Notifier
from lifecycle.core.participations import Decision, Participation, Participations
from lifecycle.core.registry import ModelRegistry
from lifecycle.core.settings import EndpointSettings, NotificationSettings, RegistrySettings, read_settings

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "ROLES",
    "Action",
    "ArtifactError",
    "Decision",
    "EndpointSettings",
    "LifecycleError",
    "Lineage",
    "ModelRegistry",
    "ModelVersion",
    "Notification",
    "NotificationSettings",
    "Notifier",
    "Participation",
    "Participations",
    "RegisteredVersion",
    "RegistryError",
    "RegistrySettings",
    "SettingsError",
    "Status",
    "UnreachableError",
    "read_settings",
]
