"""The engine's requests about one resource, and the provider's configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rehearsal.kubernetes.provider.replacement import Mutability
from rehearsal.simulator.core.naming import NO_HINTS, NamingHints
from rehearsal.simulator.core.values import Values


@dataclass(frozen=True)
class ObjectSettings:
    """The provider's settings for objects, named like the arguments of kubernetes.Provider."""

    namespace: str = "default"
    mutability: Mutability = field(default_factory=Mutability)
    patch_force: bool = False
    upsert: bool = False

    @classmethod
    def from_variables(cls, variables: Mapping[str, Any]) -> ObjectSettings:
        """Read the variables of the protocol's Configure call, whose values are text."""

        def is_true(name: str) -> bool:
            return str(variables.get(name, "")).lower() == "true"

        namespace = variables.get("namespace")
        return cls(
            namespace if isinstance(namespace, str) and namespace else "default",
            Mutability(config_maps=is_true("enableConfigMapMutable"), secrets=is_true("enableSecretMutable")),
            is_true("enablePatchForce"),
            is_true("upsertExistingObjects"),
        )


@dataclass(frozen=True)
class ObjectRequest:
    """One request of the engine about one resource. `timeout` is in seconds; None if the program does not set it."""

    urn: str
    type: str
    id: str = ""
    inputs: Values = field(default_factory=Values)
    old_inputs: Values = field(default_factory=Values)
    old_outputs: Values = field(default_factory=Values)
    ignored: Sequence[str] = ()
    timeout: float | None = None
    preview: bool = False
    hints: NamingHints = NO_HINTS

    @property
    def name(self) -> str:
        """Pulumi's logical name."""
        return self.urn.rsplit("::", 1)[-1]

    @property
    def kind(self) -> tuple[str, str]:
        """The apiVersion and kind of the type token: `kubernetes:core/v1:Pod` is a Pod of v1."""
        _, api_version, kind = self.type.split(":")
        return api_version.removeprefix("core/"), kind
