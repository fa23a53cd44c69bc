"""Reads from Azure Resource Manager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

_TIMEOUT = 60.0  # seconds for a request; the list of VM sizes is long


class ManagerError(Exception):
    """A request that Azure refused; the message has Azure's code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message.rstrip('.')}")
        self.code = code


@dataclass(frozen=True)
class ResourceManager:
    """One subscription of Azure.

    url  of Azure Resource Manager, such as https://management.azure.com
    """

    url: str
    subscription: str
    token: str = field(repr=False)

    def get(self, path: str, version: str, **query: str) -> Mapping[str, Any]:
        """The answer to a request for a path below the subscription, all pages together. Raises ManagerError."""
        address: str | None = f"{self.url}/subscriptions/{self.subscription}{path}"
        parameters: Mapping[str, str] | None = {"api-version": version, **query}
        merged: dict[str, Any] = {}
        while address:
            answer = self._request(address, parameters)
            merged = {**answer, "value": [*merged.get("value", ()), *answer.get("value", ())]}
            address, parameters = answer.get("nextLink"), None
        return merged

    def _request(self, address: str, parameters: Mapping[str, str] | None) -> Mapping[str, Any]:
        try:
            reply = requests.get(
                address, params=parameters, headers={"Authorization": f"Bearer {self.token}"}, timeout=_TIMEOUT
            )
        except requests.RequestException as error:
            raise ManagerError("Unreachable", f"{address.split('?')[0]}: {type(error).__name__}") from None
        answer: Mapping[str, Any] = reply.json() if "json" in reply.headers.get("Content-Type", "") else {}
        if not reply.ok:
            refusal = answer.get("error", {})
            raise ManagerError(refusal.get("code", str(reply.status_code)), refusal.get("message", reply.reason))
        return answer


def has_tags(resource: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    """Whether a resource in an answer has all these tags."""
    return tags.items() <= (resource.get("tags") or {}).items()
