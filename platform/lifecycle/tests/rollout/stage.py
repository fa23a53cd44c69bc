"""A model whose version 2 has just been promoted beside its champion, version 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.publisher import Publisher
from lifecycle.promotion.registry import Registry
from lifecycle.rollout.controller import Controller
from lifecycle.rollout.settings import RolloutSettings
from promotion_parts import Listener, Models, Remote, environment

from .mortal import controller
from .simulated import Prometheus, Service, Services


class Stage:
    """A model with version 1 as champion and version 2 promoted, and everything that a controller meets."""

    def __init__(self, gitops: GitopsSettings, models: Models, remote: Remote, listener: Listener) -> None:
        self.gitops, self.models, self.remote, self.listener = gitops, models, remote, listener
        self.name = models.name()
        self.services = Services(self.name)
        self.prometheus = Prometheus()
        self.changes: dict[str, Any] = {}

    def promote(self, alias: str = "challenger") -> str:
        version = self.models.version(self.name, alias)
        candidate = self.models.client.get_model_version(self.name, version)
        publisher = Publisher(self.gitops)
        lineage = Registry(self.models.uri).version(self.name, version)
        assert lineage is not None
        publisher.publish({f"promote-{candidate.run_id}": lineage.lineage})
        publisher.close()
        return version

    def parts(self) -> tuple[RolloutSettings, GitopsSettings, str, str]:
        """What a controller is made of, as another process can be given it."""
        settings = RolloutSettings(
            **{
                "prometheus": self.prometheus.url,
                "service_url": self.services.url + "/{service}",
                "interval": 0,
                "ready_pause": 0.01,
                "ready_tries": 3,
                "p95": 0.5,
                **self.changes,
            }
        )
        return settings, self.gitops, self.models.uri, self.listener.url

    def controller(self) -> Controller:
        return controller(*self.parts())

    def run(self, controller: Controller | None = None, limit: int = 20) -> list[str]:
        controller = controller or self.controller()
        words: list[str] = []
        for _ in range(limit):
            step = controller.step(self.name)
            words.append(step.words)
            if step.done:
                return words
        return words

    def serving(self, role: str) -> str:
        return environment(self.remote.read(f"dev/{self.name}/{role}.yaml")[0])["MODEL_VERSION"]

    def weights(self) -> list[int]:
        (route,) = self.remote.read(f"dev/{self.name}/route.yaml")
        return [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]]

    def files(self) -> list[str]:
        return [file for file in self.remote.files() if file.startswith(f"dev/{self.name}/")]


@pytest.fixture
def stage(gitops: GitopsSettings, models: Models, remote: Remote, listener: Listener) -> Iterator[Stage]:
    made = Stage(gitops, models, remote, listener)
    with made.services.running(), made.prometheus.running():
        made.promote()
        made.services["challenger"] = made.services["champion"] = Service("1")
        assert made.run() == ["adopted", "settled: version 1"], "a first version has nobody to share with"
        made.promote()
        made.services["challenger"] = Service("2")
        made.services["champion"] = Service("2")  # once it has been adopted, which is when it is asked
        listener.heard.clear()
        yield made
