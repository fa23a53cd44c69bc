"""The command `audit`: findings of the policies in a stack's state, an exported state, a run or manifests."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from delivery.audit_reports import FORMATS
from delivery.audit_sources import analyze_export, analyze_stack, evaluate_folder, read_log
from delivery.errors import DeliveryError
from delivery.findings import SEVERITIES, Finding, count_failing
from delivery.outputs import write_summary
from deploy.programs import ROOT, Programs

_STACKS = ROOT / "stacks"


def add_command(add: Callable[..., argparse.ArgumentParser]) -> None:
    command = add("audit", _audit, "write what the policies find in the state of a stack, without an update", "stack")
    sources = command.add_mutually_exclusive_group()
    sources.add_argument("--file", type=Path, help="a state, as `pulumi stack export` writes it; it names its stack")
    sources.add_argument("--log", type=Path, help="the events of a run, as `make preview LOG=<file>` writes them")
    sources.add_argument("--manifests", type=Path, help="a folder with Kubernetes manifests")
    command.add_argument("--format", default="table", help=", ".join(FORMATS))
    command.add_argument("--output", type=Path, help="a file for the report; by default it is printed")
    command.add_argument(
        "--level", default="", help=f"fail for findings of at least this severity: {', '.join(SEVERITIES)}"
    )


def _audit(options: argparse.Namespace) -> int:
    """Write the report, then fail if a finding reaches the level or, without a level, would stop a deployment."""
    _require_known("format", options.format, list(FORMATS))
    _require_known("level", options.level, ["", *SEVERITIES])
    subject, findings = _find(options)
    report = FORMATS[options.format](subject, findings)
    if options.output:
        _write(options.output, report)
    else:
        print(report, end="")
    errors = count_failing(findings)
    text = f"{subject}: {errors} violations of policies, {len(findings) - errors} notes"
    if options.output:
        print(f"{text} ({options.output})")
    elif options.format == "table":
        print(text)
    write_summary(text)
    return 1 if count_failing(findings, options.level) else 0


def _find(options: argparse.Namespace) -> tuple[str, list[Finding]]:
    """What is audited, and what was found."""
    if options.log:
        return options.stack, read_log(options.stack, options.log)
    if options.manifests:
        return options.manifests.name, evaluate_folder(options.manifests)
    programs = Programs(os.environ)
    if options.file:
        return analyze_export(options.file, _STACKS, programs)
    return options.stack, analyze_stack(options.stack, _STACKS, programs)


def _require_known(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise DeliveryError(f"'{value}' is not a valid {name}: use one of {', '.join(filter(None, known))}.")


def _write(path: Path, report: str) -> None:
    try:
        path.write_text(report, encoding="utf-8")
    except OSError as error:
        raise DeliveryError(f"{path} cannot be written: {error.strerror}.") from None
