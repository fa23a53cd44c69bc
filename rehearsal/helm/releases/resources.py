"""Helm releases: `kubernetes:helm.sh/v3:Release`, carried out by the real Helm on the rehearsal's API server.

Charts, values and their checks are those of the offline model. What is installed, upgraded, rolled back and removed is
Helm's own work, and so is what the cluster remembers of it. A chart that cannot be had is not installed, and its
release says so.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.helm import charts, cli, rendering
from rehearsal.helm.charts import Chart
from rehearsal.helm.releases import dry_run as release_preview
from rehearsal.helm.releases import options as release_options
from rehearsal.helm.releases import revisions as release_records
from rehearsal.helm.releases.helm_process import Helm, Outcome
from rehearsal.helm.releases.options import INSTALL, UNINSTALL, UPGRADE
from rehearsal.helm.releases.revisions import Revision
from rehearsal.helm.rendering import Release, Rendered, RenderError
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.readiness.problem import describe_object
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import ResourceRequest, render_template
from rehearsal.simulator.core.simulation import Difference, Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values, has_unknown
from rehearsal.simulator.offline_kubernetes import CLOUD, RELEASE

PATIENCE = 45
"""Seconds that Helm waits at most for one thing, whatever a release allows: simulated pods start at once."""

_WAITS = 4  # that one operation may take in all: for hooks, for objects, and the same again for a rollback
_NAMED = 12  # workloads that a message names
_GAVE_UP = re.compile(r"deadline exceeded|timed out")  # how Helm says that it waited in vain

_Inputs = Mapping[str, Any]
_Outputs = Mapping[str, Any]


class Unfinished(CloudError):
    """What failed and is there all the same, as a release that is not atomic: `outputs` are what to remember of it."""

    def __init__(self, message: str, outputs: _Outputs) -> None:
        super().__init__(message)
        self.outputs = outputs


class Releases:
    """The Helm releases of one cluster.

    Inputs are those of a Release resource, and what is refused is a CloudError. Where the API server does not answer,
    all but `check` raise ApiUnreachableError.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._helm = Helm(plane)
        # The offline model judges inputs; what exists is asked of the cluster, so that this state stays empty.
        self._state = StateStore(":memory:")
        self._offline = Simulation(CLOUD, self._state)

    def check(self, inputs: _Inputs) -> list[str]:
        """What is wrong with the inputs before anything is done, in previews too; empty when nothing is."""
        return self._offline.check("", RELEASE, Values(dict(inputs))) + release_options.unsupported(inputs)

    def diff(self, old_inputs: _Inputs, new_inputs: _Inputs) -> Difference:
        """What an update would change; a release that is not there, for its chart could not be had, is to be installed
        as soon as the chart can."""
        old, new = Values(dict(old_inputs)), Values(dict(new_inputs))
        found = self._offline.diff("", RELEASE, identity(old_inputs), old, new)
        obtainable = cli.ready() and charts.package(Chart.of(new_inputs))
        if not found.changed and obtainable and self._latest(new_inputs) is None:
            found.changed.append("status")
        return found

    def preview(self, inputs: _Inputs) -> _Outputs:
        """What is known before a release is installed or upgraded: whether it renders, and whether the API server takes
        what it renders to. Neither is asked while an input is unknown."""
        if not has_unknown(inputs):
            release = Release.of(inputs)
            rendered = _render(release)
            refused = release_preview.refusals(self._plane.api, release, rendered.objects)
            if refused:
                raise CloudError("; ".join(refused))
        return {**inputs, "status": UNKNOWN, "rendered": UNKNOWN}

    def install(self, inputs: _Inputs, timeout: float | None) -> _Outputs:
        """Install a release. `timeout` is the resource's own limit in seconds, None where it has none."""
        return self._put(INSTALL, inputs, timeout)

    def upgrade(self, inputs: _Inputs, old_inputs: _Inputs, timeout: float | None) -> _Outputs:  # noqa: ARG002 Helm knows
        """Upgrade a release; one that is not there yet is installed."""
        return self._put(INSTALL if self._latest(inputs) is None else UPGRADE, inputs, timeout)

    def uninstall(self, inputs: _Inputs, timeout: float | None) -> None:
        """Remove a release, and wait until its objects are gone unless it says not to; one that is gone is fine."""
        there = self._latest(inputs)
        if there is not None:
            outcome = self._run(UNINSTALL, inputs, ["--ignore-not-found"], timeout)
            if outcome.complaint:
                waited = _waited(outcome, _asked(inputs, timeout))
                raise CloudError(_sentences(outcome.complaint, waited, self._left(there), self._lock(inputs)))

    def read(self, inputs: _Inputs) -> _Outputs | None:
        """What there is of a release, None when it is gone."""
        found = self._latest(inputs)
        outputs = self._outputs(inputs, found)
        return outputs if found or outputs["rendered"]["reason"] else None

    def cancel(self) -> None:
        """End every Helm that runs: SIGTERM, then SIGKILL after five seconds."""
        self._helm.cancel()

    def _put(self, action: str, inputs: _Inputs, timeout: float | None) -> _Outputs:
        if _render(Release.of(inputs)).reason:
            return self._outputs(inputs, None)
        package = charts.obtain(Chart.of(inputs))
        before = self._latest(inputs)
        with rendering.values_file(inputs.get("values") or {}) as values:
            options = [str(package), "--values", str(values), "--hide-notes"]
            outcome = self._run(action, inputs, options, timeout)
        after = self._latest(inputs)
        if not outcome.complaint:
            return self._outputs(inputs, after)
        made = None if before and after and before.number == after.number else after
        message = self._failure(inputs, outcome, made, _asked(inputs, timeout))
        raise Unfinished(message, self._outputs(inputs, made)) if made else CloudError(message)

    def _run(self, action: str, inputs: _Inputs, options: Sequence[str], timeout: float | None) -> Outcome:
        seconds = min(_asked(inputs, timeout), PATIENCE)
        arguments = [action, inputs["name"], *options, *release_options.arguments(action, inputs, seconds)]
        try:
            return self._helm.run(inputs["namespace"], inputs["name"], arguments, _WAITS * seconds)
        except cli.Unavailable as error:
            raise CloudError(str(error)) from None

    def _failure(self, inputs: _Inputs, outcome: Outcome, made: Revision | None, asked: int) -> str:
        """What failed, what Helm did about it, what it waited for, and what to do; `made` is the revision it left."""
        back = made.rolled_back_to if made else None
        unready = [problem.message for problem in outcome.unready[:_NAMED]]
        more = len(outcome.unready) - len(unready)
        return _sentences(
            f"release {identity(inputs)}: {outcome.complaint}",
            f"It was rolled back to revision {back}" if back else "",
            _waited(outcome, asked),
            "\n".join(["Not ready:", *unready, *([f"and {more} more"] if more else [])]) if unready else "",
            self._lock(inputs),
        )

    def _lock(self, inputs: _Inputs) -> str:
        """The way out of an operation that was interrupted; empty where there is none."""
        found = self._revisions(inputs)
        if not found or not found[-1].is_pending:
            return ""
        good = [revision.number for revision in found if revision.status in ("deployed", "superseded")]
        remedy = ["rollback", inputs["name"], str(good[-1])] if good else ["uninstall", inputs["name"]]
        command = shlex.join([str(cli.helm()), *remedy, "--namespace", inputs["namespace"]])
        return (
            f"The release is locked ({found[-1].status}): another operation (install/upgrade/rollback) is in progress, "
            f"or was interrupted. Remedy, in the rehearsal's shell (`make shell`): {command}"
        )

    def _left(self, removed: Revision) -> str:
        """The objects of a release that are still there, and who holds them."""
        left = [found for item in removed.objects if (found := self._there(item, removed.record["namespace"]))]
        held = [(describe_object(item), item["metadata"].get("finalizers", ())) for item in left]
        named = [f"{name} (finalizers {', '.join(finalizers)})" if finalizers else name for name, finalizers in held]
        return f"Still there: {', '.join(named)}" if named else ""

    def _there(self, item: Object, namespace: str) -> Object | None:
        metadata = item["metadata"]
        return self._plane.api.get(
            item["apiVersion"], item["kind"], metadata["name"], metadata.get("namespace", namespace)
        )

    def _outputs(self, inputs: _Inputs, found: Revision | None) -> _Outputs:
        """The offline model's outputs; of a release that is there, Helm's status is in place of the supposed one."""
        model = CLOUD.get_model(RELEASE)
        assert model is not None  # noqa: S101 the offline model knows releases
        request = ResourceRequest(RELEASE, "", inputs, self._state, {})
        with _telling(inputs["name"]):
            outputs = {**inputs, **{name: render_template(output, request) for name, output in model.outputs.items()}}
        return {**outputs, "status": found.outputs} if found else outputs

    def _latest(self, inputs: _Inputs) -> Revision | None:
        found = self._revisions(inputs)
        return found[-1] if found else None

    def _revisions(self, inputs: _Inputs) -> Sequence[Revision]:
        return release_records.revisions(self._plane.api, str(inputs["namespace"]), str(inputs["name"]))


def identity(inputs: _Inputs) -> str:
    """The ID of a release."""
    return f"{inputs['namespace']}/{inputs['name']}"


def _render(release: Release) -> Rendered:
    """What a release renders to. What the offline check finds is refused here too, for Helm lets some of it through: a
    field that nobody knows it leaves out in silence."""
    with _telling(release.name):
        rendered = rendering.render(release)
    if rendered.complaints:
        raise CloudError("; ".join(rendered.complaints))
    return rendered


@contextmanager
def _telling(name: str) -> Iterator[None]:
    try:
        yield
    except RenderError as error:
        raise CloudError(f"{name} could not be rendered: {error}") from None


def _asked(inputs: _Inputs, timeout: float | None) -> int:
    """Seconds that a release allows for one wait."""
    return int(min(inputs.get("timeout") or release_options.DEFAULT_TIMEOUT, timeout or math.inf))


def _waited(outcome: Outcome, asked: int) -> str:
    """How long Helm waited, where that was in vain."""
    if not _GAVE_UP.search(outcome.complaint):
        return ""
    if asked <= PATIENCE:
        return f"Helm waited {asked} s, as the release says"
    return f"Helm waited {PATIENCE} s: the release allows {asked} s, but what a rehearsal starts is there at once"


def _sentences(*said: str) -> str:
    return ". ".join(sentence.rstrip(". ") for sentence in said if sentence)
