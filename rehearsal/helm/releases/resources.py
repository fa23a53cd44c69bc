"""Helm releases (`kubernetes:helm.sh/v3:Release`), carried out by the real Helm on the rehearsal's API server.

Inputs are checked by the offline model. Installing, upgrading, rolling back and uninstalling is done by Helm, which
also stores the revisions in the cluster. A release whose chart is not available is not installed; its outputs say so.
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
from rehearsal.helm.releases import dry_run as release_dry_run
from rehearsal.helm.releases import options as release_options
from rehearsal.helm.releases import revisions as release_revisions
from rehearsal.helm.releases.helm_process import HelmRunner, Outcome
from rehearsal.helm.releases.options import INSTALL, UNINSTALL, UPGRADE
from rehearsal.helm.releases.revisions import Revision
from rehearsal.helm.rendering import Release, RenderedRelease, RenderError
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.readiness.problem import describe_object
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.naming import NamingHints
from rehearsal.simulator.core.resource_model import ResourceRequest, render_template
from rehearsal.simulator.core.simulation import Difference, Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values, has_unknown
from rehearsal.simulator.offline_kubernetes import CLOUD, RELEASE

MAX_WAIT = 45
"""Seconds after which a single wait of Helm times out, whatever a release allows: simulated pods start at once."""

_MAX_WAITS = 4  # waits of one operation: for hooks, for objects, and for both again in a rollback
_MAX_LISTED = 12  # workloads that a message lists
_TIMED_OUT = re.compile(r"deadline exceeded|timed out")  # how Helm reports that a wait timed out

_Inputs = Mapping[str, Any]
_Outputs = Mapping[str, Any]


class PartialReleaseError(CloudError):
    """A failed operation that left a release behind, as a non-atomic one does; `outputs` belong in the state."""

    def __init__(self, message: str, outputs: _Outputs) -> None:
        super().__init__(message)
        self.outputs = outputs


class Releases:
    """The Helm releases of one cluster.

    Inputs are those of a Release resource; a refusal is raised as CloudError. If the API server does not answer, all
    methods except `check` raise ApiUnreachableError.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._helm = HelmRunner(plane)
        # The offline model checks inputs only. What exists is read from the cluster, so its state stays empty.
        self._state = StateStore(":memory:")
        self._offline = Simulation(CLOUD, self._state)

    def check(self, urn: str, inputs: Values, old: Values, hints: NamingHints) -> tuple[Values, list[str]]:
        """The inputs with a name and a namespace, and their problems, in previews too."""
        complete, problems = self._offline.check(urn, RELEASE, inputs, old, hints)
        return complete, problems + release_options.find_unsupported_inputs(complete.plain)

    def diff(self, old_inputs: _Inputs, new_inputs: _Inputs) -> Difference:
        """What an update would change. A release that is missing because its chart was not available is installed as
        soon as the chart is available."""
        old, new = Values(dict(old_inputs)), Values(dict(new_inputs))
        difference = self._offline.diff("", RELEASE, release_id(old_inputs), old, new)
        installable = cli.is_available() and charts.find_package(Chart.from_inputs(new_inputs))
        if not difference.changed and installable and self._latest(new_inputs) is None:
            difference.changed.append("status")
        return difference

    def preview(self, inputs: _Inputs) -> _Outputs:
        """The outputs that a preview knows. Raises CloudError if the release does not render, or the API server would
        reject its objects; neither is checked while an input is unknown."""
        if not has_unknown(inputs):
            release = Release.from_inputs(inputs)
            rendered = _render(release)
            rejections = release_dry_run.find_rejections(self._plane.api, release, rendered.objects)
            if rejections:
                raise CloudError("; ".join(rejections))
        return {**inputs, "status": UNKNOWN, "rendered": UNKNOWN}

    def install(self, inputs: _Inputs, timeout: float | None) -> _Outputs:
        """Install a release. `timeout` is the resource's own timeout in seconds, or None."""
        return self._apply(INSTALL, inputs, timeout)

    def upgrade(self, inputs: _Inputs, old_inputs: _Inputs, timeout: float | None) -> _Outputs:  # noqa: ARG002 Helm knows
        """Upgrade a release, or install it if it does not exist."""
        return self._apply(INSTALL if self._latest(inputs) is None else UPGRADE, inputs, timeout)

    def uninstall(self, inputs: _Inputs, timeout: float | None) -> None:
        """Uninstall a release, and wait until its objects are deleted unless `skipAwait` is set."""
        revision = self._latest(inputs)
        if revision is not None:
            outcome = self._run(UNINSTALL, inputs, ["--ignore-not-found"], timeout)
            if outcome.error:
                waited = _describe_wait(outcome, _timeout_seconds(inputs, timeout))
                remaining, lock = self._describe_remaining(revision), self._describe_lock(inputs)
                raise CloudError(_join_sentences(outcome.error, waited, remaining, lock))

    def read(self, inputs: _Inputs) -> _Outputs | None:
        """The current outputs of a release; None if it no longer exists."""
        revision = self._latest(inputs)
        outputs = self._outputs(inputs, revision)
        return outputs if revision or outputs["rendered"]["reason"] else None

    def cancel(self) -> None:
        """End every run of Helm: SIGTERM, then SIGKILL after five seconds."""
        self._helm.cancel()

    def _apply(self, action: str, inputs: _Inputs, timeout: float | None) -> _Outputs:
        if _render(Release.from_inputs(inputs)).skip_reason:
            return self._outputs(inputs, None)
        package = charts.fetch_package(Chart.from_inputs(inputs))
        before = self._latest(inputs)
        with rendering.values_file(inputs.get("values") or {}) as values:
            options = [str(package), "--values", str(values), "--hide-notes"]
            outcome = self._run(action, inputs, options, timeout)
        after = self._latest(inputs)
        if not outcome.error:
            return self._outputs(inputs, after)
        created = None if before and after and before.number == after.number else after
        message = self._describe_failure(inputs, outcome, created, _timeout_seconds(inputs, timeout))
        raise PartialReleaseError(message, self._outputs(inputs, created)) if created else CloudError(message)

    def _run(self, action: str, inputs: _Inputs, options: Sequence[str], timeout: float | None) -> Outcome:
        seconds = min(_timeout_seconds(inputs, timeout), MAX_WAIT)
        arguments = [action, inputs["name"], *options, *release_options.build_arguments(action, inputs, seconds)]
        try:
            return self._helm.run(inputs["namespace"], inputs["name"], arguments, _MAX_WAITS * seconds)
        except cli.HelmUnavailableError as error:
            raise CloudError(str(error)) from None

    def _describe_failure(self, inputs: _Inputs, outcome: Outcome, created: Revision | None, timeout: int) -> str:
        """The error, Helm's reaction, what it waited for, and the remedy; `created` is the revision that it left."""
        restored = created.rolled_back_to if created else None
        unready = [problem.message for problem in outcome.unready[:_MAX_LISTED]]
        more = len(outcome.unready) - len(unready)
        return _join_sentences(
            f"release {release_id(inputs)}: {outcome.error}",
            f"It was rolled back to revision {restored}" if restored else "",
            _describe_wait(outcome, timeout),
            "\n".join(["Not ready:", *unready, *([f"and {more} more"] if more else [])]) if unready else "",
            self._describe_lock(inputs),
        )

    def _describe_lock(self, inputs: _Inputs) -> str:
        """A message that an interrupted operation has locked the release, with the remedy; empty if it has not."""
        revisions = self._revisions(inputs)
        if not revisions or not revisions[-1].is_pending:
            return ""
        good = [revision.number for revision in revisions if revision.status in ("deployed", "superseded")]
        remedy = ["rollback", inputs["name"], str(good[-1])] if good else ["uninstall", inputs["name"]]
        command = shlex.join([str(cli.ensure_helm()), *remedy, "--namespace", inputs["namespace"]])
        return (
            f"The release is locked ({revisions[-1].status}): another operation (install/upgrade/rollback) is in "
            f"progress, or was interrupted. Remedy, in the rehearsal's shell (`make shell`): {command}"
        )

    def _describe_remaining(self, uninstalled: Revision) -> str:
        """The objects of an uninstalled release that still exist, with their finalizers."""
        namespace = uninstalled.record["namespace"]
        remaining = [live for item in uninstalled.objects if (live := self._find_live(item, namespace))]
        held = [(describe_object(item), item["metadata"].get("finalizers", ())) for item in remaining]
        named = [f"{name} (finalizers {', '.join(finalizers)})" if finalizers else name for name, finalizers in held]
        return f"Still there: {', '.join(named)}" if named else ""

    def _find_live(self, item: Object, namespace: str) -> Object | None:
        metadata = item["metadata"]
        return self._plane.api.get(
            item["apiVersion"], item["kind"], metadata["name"], metadata.get("namespace", namespace)
        )

    def _outputs(self, inputs: _Inputs, revision: Revision | None) -> _Outputs:
        """The offline model's outputs, with Helm's own status if the release is installed."""
        model = CLOUD.get_model(RELEASE)
        assert model is not None  # noqa: S101 the offline model includes releases
        request = ResourceRequest(RELEASE, "", inputs, self._state, {})
        with _render_errors_refused(inputs["name"]):
            outputs = {**inputs, **{name: render_template(output, request) for name, output in model.outputs.items()}}
        return {**outputs, "status": revision.outputs} if revision else outputs

    def _latest(self, inputs: _Inputs) -> Revision | None:
        revisions = self._revisions(inputs)
        return revisions[-1] if revisions else None

    def _revisions(self, inputs: _Inputs) -> Sequence[Revision]:
        return release_revisions.list_revisions(self._plane.api, str(inputs["namespace"]), str(inputs["name"]))


def release_id(inputs: _Inputs) -> str:
    """The resource ID of a release: `namespace/name`."""
    return f"{inputs['namespace']}/{inputs['name']}"


def _render(release: Release) -> RenderedRelease:
    """Render a release. Problems that the offline validation finds are errors here too, since Helm accepts some: it
    drops unknown fields silently."""
    with _render_errors_refused(release.name):
        rendered = rendering.render(release)
    if rendered.problems:
        raise CloudError("; ".join(rendered.problems))
    return rendered


@contextmanager
def _render_errors_refused(name: str) -> Iterator[None]:
    try:
        yield
    except RenderError as error:
        raise CloudError(f"{name} could not be rendered: {error}") from None


def _timeout_seconds(inputs: _Inputs, timeout: float | None) -> int:
    """Seconds that a release allows for a single wait."""
    return int(min(inputs.get("timeout") or release_options.DEFAULT_TIMEOUT, timeout or math.inf))


def _describe_wait(outcome: Outcome, timeout: int) -> str:
    """How long Helm waited, if that wait timed out; otherwise empty."""
    if not _TIMED_OUT.search(outcome.error):
        return ""
    if timeout <= MAX_WAIT:
        return f"Helm waited {timeout} s, the release's timeout"
    return f"Helm waited {MAX_WAIT} s: the release allows {timeout} s, but in a rehearsal pods start at once"


def _join_sentences(*sentences: str) -> str:
    return ". ".join(sentence.rstrip(". ") for sentence in sentences if sentence)
