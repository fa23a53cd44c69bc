"""A running API server that validates each object that a mutant declares differently from the program.

It detects errors that no published schema covers: a probe without a handler, a selector that matches no pod, invalid
custom resources. It also adds its own defaults to objects, which shows whether a mutant's object is different.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rehearsal.console import UserError
from rehearsal.kubernetes.client import ApiClient, ApiError, ClientConfig, NoKindMatchError, Object
from rehearsal.kubernetes.control_plane import programs
from rehearsal.kubernetes.control_plane.control_plane import run_control_plane
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.provider.projection import to_manifest
from rehearsal.polling import wait_until

_MANAGER = "mutants"
_DEFINITION = "CustomResourceDefinition"
# The cluster's own kinds, and pods, whose templates are validated.
_NOT_DECLARED = frozenset({"Endpoints", "Node", "Pod"})
_TIMEOUT = 60  # seconds until a kind is served


class ApiServer:
    """An API server that has the program's unchanged objects."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._known: dict[str, str] = {}

    def learn(self, objects: Iterable[Object]) -> Iterator[str]:
        """Create the kinds and namespaces that objects need, and yield the messages about rejected objects."""
        declared = list(objects)
        self._create(found for found in declared if found["kind"] in ("Namespace", _DEFINITION))
        yield from self.find_refusals(declared)

    def find_refusals(self, objects: Iterable[Object]) -> Iterator[str]:
        """The messages about rejected objects among those that have not been validated yet."""
        api = ApiClient(self._config)  # each process needs its own connections
        for found in objects:
            text = _format(found)
            if found["kind"] in _NOT_DECLARED or text in self._known:
                continue
            try:
                completed = api.apply(_strip(found), _MANAGER, force=True, dry_run=True)
            except ApiError as error:
                yield f"{found['kind']} {found['metadata']['name']}: {error}"
            else:
                self._known[text] = _format(to_manifest(_strip(completed)))

    def describe(self, objects: Iterable[Object]) -> Mapping[str, str]:
        """Each object with the server's defaults, keyed by kind and name. The server must have accepted them before."""
        return {
            "/".join(_identify(found)): self._known[_format(found)]
            for found in objects
            if found["kind"] not in _NOT_DECLARED
        }

    def _create(self, objects: Iterable[Object]) -> None:
        api = ApiClient(self._config)
        for found in objects:
            api.apply(_strip(found), _MANAGER, force=True)
            if found["kind"] == _DEFINITION:
                spec = found["spec"]
                for version in spec["versions"]:
                    if version.get("served"):
                        _wait_until_served(api, f"{spec['group']}/{version['name']}", spec["names"]["kind"])


def _wait_until_served(api: ApiClient, api_version: str, kind: str) -> None:
    wait_until(lambda: api.discover(api_version, kind), timeout=_TIMEOUT, interval=0.2, retry_on=(NoKindMatchError,))


def _strip(found: Object) -> Object:
    return {key: value for key, value in found.items() if key != "status"}


def _format(found: Object) -> str:
    return json.dumps(found, sort_keys=True, default=str)


def _identify(found: Object) -> tuple[str, str, str, str]:
    metadata = found["metadata"]
    return found["apiVersion"], found["kind"], metadata.get("namespace", ""), metadata["name"]


@contextmanager
def run_api_server(folder: Path) -> Iterator[ApiServer]:
    """Run an API server with its etcd and controllers while the context lasts. Raises UserError if it cannot run."""
    if reason := programs.prepare():
        raise UserError(f"Mutants need a control plane, which cannot run here: {reason}")
    proxy = EgressProxy()
    with proxy.run(), run_control_plane(folder, proxy.path) as plane:
        proxy.attach(plane)
        yield ApiServer(ClientConfig.from_kubeconfig(plane.kubeconfig.read_text()))
