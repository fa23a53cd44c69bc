"""Helm releases as Pulumi resources: the operations of `Objects`, performed by the real Helm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kernel.paths import look_up
from rehearsal.helm.releases import resources as helm_releases
from rehearsal.helm.releases.resources import Releases
from rehearsal.kubernetes.provider.errors import InitializationError
from rehearsal.kubernetes.provider.object_request import ObjectRequest
from rehearsal.simulator.core.defaults import hide
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Difference
from rehearsal.simulator.core.values import Values


class ReleaseResources:
    """The operations on resources that are Helm releases. Raise CloudError, ApiError and ApiUnreachableError."""

    def __init__(self, releases: Releases) -> None:
        self._releases = releases

    def check(self, request: ObjectRequest) -> tuple[Values, list[str]]:
        return self._releases.check(request.urn, request.inputs, request.old_inputs, request.hints)

    def diff(self, request: ObjectRequest) -> Difference:
        return self._releases.diff(request.old_inputs.plain, request.inputs.plain)

    def create(self, request: ObjectRequest) -> tuple[str, Values]:
        inputs = request.inputs
        if request.preview:
            return "", _copy_secrets(self._releases.preview(inputs.plain), inputs)
        id_ = helm_releases.release_id(inputs.plain)
        with _failing_as_initialization(id_, inputs):
            return id_, _copy_secrets(self._releases.install(inputs.plain, request.timeout), inputs)

    def read(self, request: ObjectRequest) -> tuple[Values, Values] | None:
        if not request.old_inputs.plain:
            raise CloudError(f"the release {request.id} cannot be imported: the cluster does not record its inputs")
        outputs = self._releases.read(request.old_inputs.plain)
        return None if outputs is None else (request.old_inputs, _copy_secrets(outputs, request.old_inputs))

    def update(self, request: ObjectRequest) -> Values:
        inputs = request.inputs
        if request.preview:
            return _copy_secrets(self._releases.preview(inputs.plain), inputs)
        with _failing_as_initialization(request.id, inputs):
            outputs = self._releases.upgrade(inputs.plain, request.old_inputs.plain, request.timeout)
            return _copy_secrets(outputs, inputs)

    def delete(self, request: ObjectRequest) -> None:
        self._releases.uninstall(request.old_inputs.plain or request.old_outputs.plain, request.timeout)

    def cancel(self) -> None:
        """Stop the Helm processes that are running."""
        self._releases.cancel()


@contextmanager
def _failing_as_initialization(id_: str, inputs: Values) -> Iterator[None]:
    """Raise InitializationError if a release failed but exists nevertheless."""
    try:
        yield
    except helm_releases.PartialReleaseError as error:
        raise InitializationError(str(error), id_, _copy_secrets(error.outputs, inputs)) from None


def _copy_secrets(outputs: Mapping[str, Any], inputs: Values) -> Values:
    """The outputs of a release; values that are secret in the inputs are secret in them too."""
    secrets = {path for path in inputs.secrets if look_up(outputs, path, None) is not None}
    return Values(hide(outputs), secrets)
