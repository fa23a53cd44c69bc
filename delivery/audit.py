"""The command `audit`: what the policies find in a stack's state, in an export of one, in a run or in manifests."""

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
    sources.add_argument("--log", type=Path, help="the events of a run, as `make preview LOG=<file>` keeps them")
    sources.add_argument("--manifests", type=Path, help="a folder with Kubernetes manifests")
    command.add_argument("--format", default="table", help=", ".join(FORMATS))
    command.add_argument("--output", type=Path, help="a file for the report; by default it is printed")
    command.add_argument("--level", default="", help=f"fail from this severity on: {', '.join(SEVERITIES)}")


def _audit(options: argparse.Namespace) -> int:
    """Fails where a finding reaches the level, or without one would stop a deployment, after the report is written."""
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
        raise DeliveryError(f"There is no {name} '{value}': {', '.join(filter(None, known))} are known.")


def _write(path: Path, report: str) -> None:
    try:
        path.write_text(report, encoding="utf-8")
    except OSError as error:
        raise DeliveryError(f"{path} cannot be written: {error.strerror}.") from None
