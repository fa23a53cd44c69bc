"""What each command of the rehearsal does. Each returns an exit code and raises UserError for what people can mend."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from kernel.rehearsals import REHEARSED_STACK
from policies import load_exceptions
from rehearsal import setting_changes, summary
from rehearsal.console import UserError, info, progress_hidden, warn
from rehearsal.helm import chart_policies
from rehearsal.helm.chart_policies import ChartEvaluation
from rehearsal.kubernetes.cluster import Cluster, ClusterReport
from rehearsal.outcome import Outcome
from rehearsal.polling import wait_until
from rehearsal.preparation import Preparation, preparing
from rehearsal.scenarios import model_lifecycle
from rehearsal.session import Rehearsal
from rehearsal.simulator.clouds import find_unmodelled
from rehearsal.simulator.core.simulation import HOW_TO_ADD
from rehearsal.toolchain import ROOT

# What a rehearsal does, in the order in which people do it: look, do, look again.
_STEPS = {
    "preview": ["preview"],
    "up": ["up", "--yes", "--skip-preview"],
    "second preview": ["preview", "--expect-no-changes"],
}


def up(arguments: Namespace) -> int:
    """Bring the stack up under its policies, verify that a second preview changes nothing, and summarize.

    Where programs have to be built first, the first preview runs as soon as the engine is there.
    """
    rehearsal = Rehearsal(arguments.stack)
    _check_settings(rehearsal)
    changes = setting_changes.check(rehearsal, arguments.confirm.split(","))
    started = time.monotonic()
    steps = list(_STEPS)
    with preparing() as preparation:
        conclude = partial(_conclude, rehearsal, preparation, started)
        preparation.engine()
        info(f"Rehearsing {rehearsal.stack}: real engine, real program, real policies; the clouds are simulated.")
        _report_settings(rehearsal)
        if rehearsal.is_new() and not preparation.is_complete():
            with progress_hidden(), rehearsal.previewing(preparation, arguments.port) as environment:
                code = _run_step(rehearsal, steps.pop(0), environment, changes)
            if code != 0:
                return conclude(["its preview"], "the engine says why above")
            info("\nThe rest of the rehearsal needs programs that are still being built.")
        with rehearsal.running(arguments.port, preparation=preparation) as running:
            if running.unavailable_reason:
                reason = running.unavailable_reason
                info(f"There is no control plane, so Kubernetes objects are only checked offline: {reason}")
            for step in steps:
                code = _run_step(rehearsal, step, running.environment, changes)
                if code != 0:
                    _report_ended_processes(running.cluster)
                    return conclude([f"its {step}"], "the engine says why above")
            state = _output(rehearsal, ["stack", "export"], running.environment)
            report = running.cluster.report(state) if running.cluster else None
    info("\nEvaluating the charts and the cluster.")
    has_controls = rehearsal.project.policy_pack is not None
    charts = chart_policies.evaluate_releases(state, has_controls=has_controls)
    events = {step: _events(rehearsal, step) for step in _STEPS}
    exceptions = load_exceptions() if has_controls else []
    failures = _list_failures(charts, report, strict=arguments.strict)
    placeholders = rehearsal.placeholders()
    text = summary.render(rehearsal.stack, state, events, charts, exceptions, report, failures, placeholders)
    print(text, flush=True)
    _report_problems(charts, report, strict=arguments.strict)
    return conclude(failures, "the reasons are above")


def _conclude(
    rehearsal: Rehearsal, preparation: Preparation, started: float, failures: Sequence[str], remedy: str
) -> int:
    """Print the outcome; returns the exit code. `started` is on the monotonic clock."""
    builds = preparation.seconds_waited
    outcome = Outcome(rehearsal.stack, failures, remedy, time.monotonic() - started - builds, builds)
    info(outcome.render(rehearsal.project.shorten(rehearsal.project.stack_file(rehearsal.stack))))
    return int(bool(failures))


def _run_step(rehearsal: Rehearsal, step: str, environment: Mapping[str, str], changes: str) -> int:
    """Run one step under the policies; returns the engine's exit code. `changes` are those of settings."""
    info(f"\n{step.capitalize()}:")
    pack = rehearsal.project.policy_pack
    policies = ["--policy-pack", str(pack)] if pack else []
    code = _engine(rehearsal, [*_STEPS[step], *policies], environment, _events(rehearsal, step))
    if code != 0 and changes:
        info(f"\n{setting_changes.explain_failure(rehearsal, changes)}")
    elif code == 0 and step == "preview":
        _require_models(summary.list_types(summary.read_events(_events(rehearsal, step))))
    return code


def _require_models(types: Iterable[str]) -> None:
    """Raise UserError with every type that the simulated clouds have no model of."""
    unmodelled = find_unmodelled(types)
    if unmodelled:
        listed = "".join(f"\n  {type_}" for type_ in unmodelled)
        raise UserError(f"The simulated clouds have no model of these resource types:{listed}\n{HOW_TO_ADD}")


def _check_settings(rehearsal: Rehearsal) -> None:
    """Check the stack's settings by the project's own rules, so that a mistake is reported before anything starts.

    Raises UserError.
    """
    settings = rehearsal.settings_in_force()
    check = rehearsal.project.settings_check()
    if check is None:
        return
    try:
        check(settings, rehearsal.stack)
    except ValueError as error:
        raise UserError(str(error)) from None


def _report_settings(rehearsal: Rehearsal) -> None:
    """Where the rehearsal's settings are not those of the stack's file."""
    rehearsal.refresh_settings()
    placeholders, changed = rehearsal.placeholders(), rehearsal.changed_settings()
    if placeholders:
        info(
            f"Only the real stack can read its encrypted settings; placeholders stand for {', '.join(placeholders)}. "
            "Where one will not do, set another for the rehearsal: `make shell`, `pulumi config set --secret`."
        )
    if changed:
        file = rehearsal.project.shorten(rehearsal.project.stack_file(rehearsal.stack))
        info(
            f"Settings of this rehearsal, other than in {file}: {', '.join(changed)}. "
            f"`make rehearse-reset STACK={rehearsal.stack}` forgets them."
        )


def _report_ended_processes(cluster: Cluster | None) -> None:
    """Beside what the engine says: processes of the control plane that are gone."""
    for fault in cluster.plane.problems() if cluster else ():
        info(f"\n{fault}. The same command starts it again.")


def _list_failures(charts: Sequence[ChartEvaluation], report: ClusterReport | None, *, strict: bool) -> list[str]:
    """Where a rehearsal failed that the engine let pass: at its charts' objects, at its pods."""
    problems = {
        "its charts": chart_policies.list_problems(charts, strict=strict),
        "its cluster": report.problems if report else [],
    }
    return [place for place, found in problems.items() if found]


def _report_problems(charts: Sequence[ChartEvaluation], report: ClusterReport | None, *, strict: bool) -> None:
    """Print in full what the engine did not see."""
    problems = [*chart_policies.list_problems(charts, strict=strict), *(report.problems if report else [])]
    for line in [*chart_policies.list_advisories(charts), *problems]:
        info(f"\n{line}")


def _events(rehearsal: Rehearsal, step: str) -> Path:
    return rehearsal.folder / f"{step.replace(' ', '-')}-events.jsonl"


def destroy(arguments: Namespace) -> int:
    """Destroy the rehearsed stack."""
    rehearsal = Rehearsal(arguments.stack)
    with rehearsal.running(arguments.port) as running:
        return _engine(rehearsal, ["destroy", "--yes"], running.environment)


def reset(arguments: Namespace) -> int:
    """Forget the rehearsal: its simulated resources and its state."""
    rehearsal = Rehearsal(arguments.stack)
    rehearsal.remove()
    info(f"The rehearsal of {rehearsal.stack} is discarded: its simulated resources, its cluster and its state.")
    return 0


def shell(arguments: Namespace) -> int:
    """A shell in which plain `pulumi`, and `kubectl` and `helm` if they are there, work on the rehearsal."""
    rehearsal = Rehearsal(arguments.stack)
    with rehearsal.running(arguments.port) as running:
        info(f"`pulumi` now works on a rehearsal of {rehearsal.stack}; the clouds are simulated. Leave with `exit`.")
        if running.cluster:
            info("So do `kubectl` and `helm`: the control plane is real, the pods' processes are simulated.")
        program = os.environ.get("SHELL", "/bin/sh")
        start = rehearsal.prepare_shell(program)
        if not start.is_protected:
            warn(
                f"The startup files of {program} may lead kubectl, helm and other programs elsewhere: only bash, zsh, "
                "fish and sh are protected from that. Choose one with `SHELL=/bin/bash make shell`."
            )
        with _interrupts_left_to_child():
            return subprocess.run(
                start.command, cwd=rehearsal.project.root, env=start.variables, check=False
            ).returncode


def serve(arguments: Namespace) -> int:
    """Serve the simulated clouds until stopped."""
    rehearsal = Rehearsal(arguments.stack)
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before any thread starts, so that only `sigwait` gets them
    with rehearsal.running(arguments.port):
        rehearsal.files.background.touch()
        try:
            signal.sigwait(ends)
        finally:
            rehearsal.files.background.unlink()
    return 0


def env(arguments: Namespace) -> int:
    """Start the simulated clouds in the background and print the environment for a shell to evaluate."""
    rehearsal = Rehearsal(arguments.stack)
    with preparing() as preparation:  # here, so that a first build shows its progress, not in the server's log
        preparation.controllers()
    if not rehearsal.serves_in_background():
        rehearsal.files.background.unlink(missing_ok=True)
        log = rehearsal.project.rehearsals / f"{rehearsal.stack}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "rehearsal", "serve", rehearsal.stack, "--port", str(arguments.port)]
        # Nothing of this process's is left open in the server, or whoever reads our output would wait for its end.
        with log.open("w") as output:
            server = subprocess.Popen(
                command,
                cwd=rehearsal.project.root,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

        def is_serving() -> bool:
            if server.poll() is not None:
                raise UserError(log.read_text().removeprefix("error: ").strip())
            return rehearsal.files.background.exists()

        wait_until(is_serving, timeout=math.inf)
        info(f"Simulated clouds of {rehearsal.stack} are serving; `make stop STACK={rehearsal.stack}` ends them.")
    print(rehearsal.files.shell_script.read_text(), end="")
    return 0


def stop(arguments: Namespace) -> int:
    """End what `env` started, and wait until it has."""
    rehearsal = Rehearsal(arguments.stack)
    if not rehearsal.serves_in_background():
        raise UserError(f"No simulated clouds of {rehearsal.stack} are serving in the background.")
    os.kill(rehearsal.files.holder_pid(), signal.SIGTERM)
    wait_until(lambda: not rehearsal.is_running(), timeout=math.inf)
    if os.environ.get(REHEARSED_STACK) == rehearsal.stack:
        info(
            "This shell still has the environment of the rehearsal, in which nothing answers now: go on in a new one, "
            f'or serve again with `eval "$(make -s env STACK={rehearsal.stack})"`.'
        )
    return 0


def lifecycle(arguments: Namespace) -> int:
    """The whole way of a model on a rehearsed stack: trained, promoted, rolled out, rolled back."""
    return model_lifecycle.run(arguments.stack, arguments.port)


def _engine(
    rehearsal: Rehearsal, command: Sequence[str], environment: Mapping[str, str], events: Path | None = None
) -> int:
    """Run the engine in sight of the person; Ctrl-C reaches it, and it ends what it is doing in good order."""
    colour = ["--color", "always" if sys.stdout.isatty() else "never"]
    log = ["--event-log", str(events)] if events else []
    if events:
        events.unlink(missing_ok=True)
    with _interrupts_left_to_child() as interrupted:
        code = rehearsal.pulumi([*command, *colour, *log], environment).returncode
    if interrupted:
        raise KeyboardInterrupt
    return code


def _output(rehearsal: Rehearsal, command: Sequence[str], environment: Mapping[str, str]) -> str:
    reply = rehearsal.pulumi(command, environment, quiet=True)
    if reply.returncode != 0:
        raise UserError(f"`pulumi {' '.join(command)}` failed: {reply.stderr.strip()}")
    return reply.stdout


@contextmanager
def _interrupts_left_to_child() -> Iterator[list[int]]:
    """Ctrl-C goes to the whole group: the child decides what to do, and this process waits for it."""
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)
