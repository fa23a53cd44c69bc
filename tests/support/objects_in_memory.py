"""An API client whose objects are in memory. Proves nothing."""

from __future__ import annotations

from collections.abc import Sequence

from rehearsal.kubernetes.client import ApiClient, ClientConfig, Object


class FakeApiClient(ApiClient):
    """An API client whose objects are in memory."""

    def __init__(self, *objects: Object) -> None:
        super().__init__(ClientConfig("", "", "", ""))
        self._objects = objects

    def current_resource_version(self) -> str:
        return "1"

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
    ) -> Sequence[Object]:
        assert resource_version in ("", self.current_resource_version())
        assert not namespace + label_selector + field_selector
        return [item for item in self._objects if (item["apiVersion"], item["kind"]) == (api_version, kind)]
