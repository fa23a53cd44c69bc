"""One analysis: counts from the engine, comparisons, and the resulting report."""

from __future__ import annotations

from collections.abc import Iterator

import ibis

from lifecycle.core.reference_profile import ReferenceProfile
from lifecycle.drift import comparison, queries
from lifecycle.drift.comparison import Limits
from lifecycle.drift.engines import Engine
from lifecycle.drift.errors import InputError
from lifecycle.drift.layout import OUTPUT
from lifecycle.drift.report import AccuracyResult, ColumnResult, DriftReport, Outcome
from lifecycle.drift.settings import DriftSettings
from lifecycle.drift.window import Window, log_columns


def analyse(
    engine: Engine,
    window: Window,
    inferences: ibis.Table,
    outcomes: ibis.Table | None,
    reference: ReferenceProfile,
    settings: DriftSettings,
) -> DriftReport:
    """Compare the window with the reference. Raises InputError for values that cannot be compared.

    inferences  the rows of the window, with the columns of the reference
    outcomes    of these and other inferences; None if none are known
    """
    columns = count_and_compare(engine, window, inferences, reference)
    rows = columns[0][1]
    accuracy = _compare_accuracy(engine, window, inferences, outcomes, reference, settings.clock_tolerance)
    if rows < settings.min_rows:
        reason = f"the window has {rows} inferences; DRIFT_MIN_ROWS requires {settings.min_rows}"
        return _report(window, reference, rows, Outcome.INCONCLUSIVE, [reason], [], None)
    limits = Limits(settings.false_alarm_rate, settings.min_psi, settings.min_accuracy_drop)
    results, accuracy = comparison.decide([result for result, _ in columns], accuracy, limits)
    reasons = list(_explain(results, accuracy))
    outcome = Outcome.DRIFT if reasons else Outcome.NO_DRIFT
    return _report(window, reference, rows, outcome, reasons, results, accuracy)


def count_and_compare(
    engine: Engine, window: Window, inferences: ibis.Table, reference: ReferenceProfile
) -> list[tuple[ColumnResult, int]]:
    """The comparison of each column, not yet adjusted, with the number of its rows."""
    profiles = log_columns(reference)
    counted = engine.run(queries.count_bins(inferences, profiles))
    if counted.empty:
        raise InputError(
            f"There are no rows in {window}. Check that the model gets requests, and that they are logged."
        )
    by_place = dict(iter(counted.groupby("column")))
    results = []
    for place, (column, profile) in enumerate(profiles.items()):
        counts = comparison.arrange(by_place[place], profile)
        comparison.check(column, profile, counts)
        role, _, name = column.partition("_")
        results.append((comparison.compare(name, role, profile, counts), counts.rows))
    return results


def _compare_accuracy(
    engine: Engine,
    window: Window,
    inferences: ibis.Table,
    outcomes: ibis.Table | None,
    reference: ReferenceProfile,
    tolerance: float,
) -> AccuracyResult | None:
    """None if there is nothing to compare: no outcomes, or predictions that are not classes."""
    if outcomes is None or reference.accuracy is None:
        return None
    (output,) = reference.outputs
    found = engine.run(queries.count_correct(inferences, f"{OUTPUT}{output}", outcomes, tolerance)).iloc[0]
    if found["early"] > 0:
        raise InputError(
            f"{found['early']} outcomes of {window} are older than their predictions: clocks differ, or request IDs "
            "were reused. Correct them, or raise DRIFT_CLOCK_TOLERANCE."
        )
    return comparison.compare_accuracy(
        reference.accuracy, int(found["rows"]), int(found["correct"]), int(found["reused"])
    )


def _explain(columns: list[ColumnResult], accuracy: AccuracyResult | None) -> Iterator[str]:
    if accuracy is not None and accuracy.has_dropped:
        yield (
            f"the accuracy is {accuracy.accuracy:.4f} over {accuracy.rows} known outcomes, the reference's is "
            f"{accuracy.reference:.4f} (adjusted p {accuracy.adjusted_p_value:.1g})"
        )
    for column in sorted(columns, key=lambda column: -column.psi):
        if column.has_drifted:
            yield (
                f"{column.role} {column.name} has drifted: PSI {column.psi:.3f}, {column.test}, adjusted p "
                f"{column.adjusted_p_value:.1g}"
            )


def _report(
    window: Window,
    reference: ReferenceProfile,
    rows: int,
    outcome: Outcome,
    reasons: list[str],
    columns: list[ColumnResult],
    accuracy: AccuracyResult | None,
) -> DriftReport:
    version = window.model_version
    return DriftReport(
        model=version.model,
        version=version.version,
        run_id=version.lineage.run_id,
        start=window.start.isoformat(),
        end=window.end.isoformat(),
        rows=rows,
        seasons=max(profile.seasons for profile in reference.inputs.values()),
        outcome=outcome,
        reasons=reasons,
        columns=columns,
        accuracy=accuracy,
    )
