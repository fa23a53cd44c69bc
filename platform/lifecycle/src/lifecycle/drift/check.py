"""The whole check of a model: find its version and reference, analyse the log, and publish the result."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from lifecycle.core import CHAMPION, ArtifactError, ModelRegistry, ModelVersion
from lifecycle.core.names import REFERENCE_PATH
from lifecycle.core.reference_profile import ReferenceProfile
from lifecycle.drift import events, layout, report
from lifecycle.drift.analysis import analyse
from lifecycle.drift.engines import open_engine
from lifecycle.drift.errors import InputError
from lifecycle.drift.report import DriftReport, Outcome
from lifecycle.drift.settings import DriftSettings
from lifecycle.drift.store import ArtifactStore
from lifecycle.drift.window import Window, WindowReader


def check_model(
    registry: ModelRegistry,
    model: str,
    settings: DriftSettings,
    *,
    version: str = "",
    until: datetime | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[DriftReport, str]:
    """Check a version of a model, by default the champion; returns the report and the URI of its JSON.

    until  the end of the window; by default the last full hour, or minute for windows of less than an hour

    Raises InputError if the log or the reference is missing, broken or does not fit; UnreachableError if MLflow does
    not answer; LifecycleError if the store or the receiver of events fails.
    """
    now = clock()
    end = (until or _find_last_end(now, settings.window_hours)).astimezone(UTC)
    if end > now:
        raise InputError(f"The window would end at {end:%Y-%m-%d %H:%M} UTC, in the future. Pass an earlier time.")
    window = Window(_find_version(registry, model, version), end - timedelta(hours=settings.window_hours), end)
    store = ArtifactStore(settings.store)
    with tempfile.TemporaryDirectory() as scratch:
        reference = read_reference(registry, window.model_version, Path(scratch, "reference"))
        found = _analyse(store, window, reference, settings, Path(scratch, "log"), now)
        uri = _publish(found, window, store, settings, Path(scratch, "report"))
    return found, uri


def _find_last_end(now: datetime, window_hours: float) -> datetime:
    """The end of the last full hour or minute, so that a repeated check has the same window, and the same event."""
    minute = now.replace(second=0, microsecond=0)
    return minute if window_hours < 1 else minute.replace(minute=0)


def read_reference(registry: ModelRegistry, version: ModelVersion, scratch: Path) -> ReferenceProfile:
    """The training reference of a version. Raises InputError if it has none, or if it is not readable."""
    uri = f"runs:/{version.lineage.run_id}/{REFERENCE_PATH}"
    try:
        if not version.lineage.run_id:
            raise ArtifactError("it has no run in MLflow")
        path = registry.download(uri, scratch)
    except ArtifactError as error:
        raise InputError(f"The training reference of {version} is missing: {error} Train the model again.") from None
    try:
        return ReferenceProfile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise InputError(
            f"The training reference of {version}, {uri}, is not readable: {where} {problem['msg']}. Train the model "
            "again with this version of the package."
        ) from None


def _find_version(registry: ModelRegistry, model: str, version: str) -> ModelVersion:
    found = registry.find_version(model, version) if version else registry.find_by_alias(model, CHAMPION)
    if found is None:
        missing = f"version {version}" if version else f"alias {CHAMPION}"
        raise InputError(
            f"MLflow at {registry.uri} has no model {model} with the {missing}. Register or promote it first."
        )
    return found.model_version


def _analyse(
    store: ArtifactStore,
    window: Window,
    reference: ReferenceProfile,
    settings: DriftSettings,
    scratch: Path,
    now: datetime,
) -> DriftReport:
    with open_engine(settings.spark_master) as engine:
        reader = WindowReader(store, engine, scratch, timedelta(seconds=settings.clock_tolerance))
        inferences = reader.read_inferences(window, reference, now)
        outcomes = None
        if reference.accuracy is not None:
            (output,) = reference.outputs.values()
            outcomes = reader.read_outcomes(window, output, now)
        return analyse(engine, window, inferences, outcomes, reference, settings)


def _publish(found: DriftReport, window: Window, store: ArtifactStore, settings: DriftSettings, scratch: Path) -> str:
    """The report is written first, so that it exists when people or programs react to its metrics or to the event."""
    version = window.model_version
    folder = layout.report_folder(version.model, version.version, window.end)
    uris = {file.name: store.upload(file, folder) for file in report.write(found, scratch)}
    latest = scratch / report.JSON_NAME
    store.upload(latest.rename(scratch / layout.latest_report(version.model)), layout.LATEST_REPORTS)
    if settings.event_sink and found.outcome == Outcome.DRIFT:
        events.open_sink(settings.event_sink, settings.event_token).send(events.describe(found, uris[report.JSON_NAME]))
    return uris[report.JSON_NAME]


def to_json(found: DriftReport, uri: str) -> str:
    """The output of the command: a summary of the outcome."""
    summary = {"model": found.model, "version": found.version, "start": found.start, "end": found.end}
    summary |= {"outcome": str(found.outcome)}
    return json.dumps({**summary, "rows": found.rows, "reasons": list(found.reasons), "report": uri}, indent=2)
