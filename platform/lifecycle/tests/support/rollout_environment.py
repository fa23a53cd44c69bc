"""A model whose version 2 has just been promoted beside its champion, version 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from lifecycle.core import ModelRegistry
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.publisher import Publisher
from lifecycle.rollout.controller import Controller
from lifecycle.rollout.settings import RolloutSettings
from support.git_remote import GitRemote
from support.network import JsonReceiver
from support.promotion import container_environment
from support.registered_models import RegisteredModels
from support.rollout_kill_points import create_controller
from support.simulated_services import Prometheus, Service, Services


class RolloutEnvironment:
    """A model with version 1 as champion and version 2 promoted, and all that a controller depends on."""

    def __init__(
        self, gitops: GitopsSettings, models: RegisteredModels, remote: GitRemote, notifications: JsonReceiver
    ) -> None:
        self.gitops, self.models, self.remote, self.notifications = gitops, models, remote, notifications
        self.model = models.create()
        self.services = Services(self.model)
        self.prometheus = Prometheus()
        self.settings: dict[str, Any] = {}

    def promote(self, alias: str = "challenger", tags: Mapping[str, str] = MappingProxyType({})) -> str:
        version = self.models.create_version(self.model, alias)
        for key, value in tags.items():
            self.models.client.set_model_version_tag(self.model, version, key, value)
        registered = ModelRegistry(self.models.uri).find_version(self.model, version)
        assert registered is not None
        publisher = Publisher(self.gitops)
        publisher.publish({f"promote-{registered.model_version.lineage.run_id}": registered.model_version})
        publisher.close()
        return version

    def controller_parts(self) -> tuple[RolloutSettings, GitopsSettings, str, str]:
        """The arguments of `create_controller`, which can be passed to another process."""
        settings = RolloutSettings(
            **{
                "prometheus": self.prometheus.url,
                "service_url": self.services.url + "/{service}",
                "interval": 0,
                "readiness_period": 0.01,
                "readiness_failure_threshold": 3,
                "max_p95": 0.5,
                **self.settings,
            }
        )
        return settings, self.gitops, self.models.uri, self.notifications.url

    def controller(self) -> Controller:
        return create_controller(*self.controller_parts())

    def run(self, controller: Controller | None = None, limit: int = 20) -> list[str]:
        """Step to the end; returns the messages."""
        controller = controller or self.controller()
        messages: list[str] = []
        for _ in range(limit):
            result = controller.step(self.model)
            messages.append(result.message)
            if result.is_done:
                return messages
        return messages

    def declared_version(self, role: str) -> str:
        return container_environment(self.remote.manifests(f"stacks/dev/{self.model}/generated/{role}.yaml")[0])[
            "MODEL_VERSION"
        ]

    def weights(self) -> list[int]:
        (route,) = self.remote.manifests(f"stacks/dev/{self.model}/generated/route.yaml")
        return [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]]

    def files(self) -> list[str]:
        return [file for file in self.remote.files() if file.startswith(f"stacks/dev/{self.model}/")]


@pytest.fixture
def environment(
    gitops: GitopsSettings, models: RegisteredModels, remote: GitRemote, notifications: JsonReceiver
) -> Iterator[RolloutEnvironment]:
    created = RolloutEnvironment(gitops, models, remote, notifications)
    with created.services.running(), created.prometheus.running():
        created.promote()
        created.services["challenger"] = created.services["champion"] = Service("1")
        assert created.run() == ["adopted", "settled: version 1"], "a first version shares requests with no other"
        created.promote()
        created.services["challenger"] = Service("2")
        created.services["champion"] = Service("2")  # probed only after the version has been adopted
        notifications.received.clear()
        yield created
