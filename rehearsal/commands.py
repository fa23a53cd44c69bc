"""What each command of the rehearsal does. Each returns an exit code and raises UserError for what people can mend."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.core import stack_config
from rehearsal import session, summary
from rehearsal.console import UserError, info
from rehearsal.helm import chart_policies
from rehearsal.helm.chart_policies import ChartEvaluation
from rehearsal.kubernetes.cluster import Cluster, ClusterReport
from rehearsal.scenarios import model_lifecycle
from rehearsal.session import POLICIES, Rehearsal
from rehearsal.toolchain import CACHE, ROOT

# What a rehearsal does, in the order in which people do it: look, do, look again.
_STEPS = {
    "preview": ["preview"],
    "up": ["up", "--yes", "--skip-preview"],
    "second preview": ["preview", "--expect-no-changes"],
}
_POLICY_PACK = ("--policy-pack", str(POLICIES))


def up(arguments: Namespace) -> int:
    """Bring the stack up under its policies, prove that a second preview changes nothing, and sum up."""
    rehearsal = Rehearsal(arguments.stack)
    _check_settings(rehearsal)
    started = time.monotonic()
    with rehearsal.running(arguments.port) as running:
        info(f"Rehearsing {rehearsal.stack}: real engine, real program, real policies; the clouds are simulated.")
        if running.unavailable_reason:
            reason = running.unavailable_reason
            info(f"There is no control plane, so Kubernetes objects are only checked offline: {reason}")
        for step, command in _STEPS.items():
            info(f"\n{step.capitalize()}:")
            code = _engine(rehearsal, [*command, *_POLICY_PACK], running.environment, _events(rehearsal, step))
            if code != 0:
                _explain(running.cluster)
                info(f"\nThe rehearsal of {rehearsal.stack} failed at its {step}; the engine says why above.")
                return code
        state = _output(rehearsal, ["stack", "export"], running.environment)
        report = running.cluster.report() if running.cluster else None
    charts = chart_policies.evaluate_releases(state)
    events = {step: _events(rehearsal, step) for step in _STEPS}
    print(summary.render(rehearsal.stack, state, events, charts, report, time.monotonic() - started), flush=True)
    return _verdict(rehearsal.stack, charts, report, strict=arguments.strict)


def _check_settings(rehearsal: Rehearsal) -> None:
    """Hold the stack's settings against the program's own rules, so that a mistake is said before anything starts.

    Values come as the engine would give them to the program: what is not an object or a list, as text. Encrypted ones
    only the engine can read, so that their stack is left to the program. Raises UserError.
    """
    config, prefix = rehearsal.settings().get("config"), f"{stack_config.NAMESPACE}:"
    keyed = config.items() if isinstance(config, dict) else ()
    said = {str(key).removeprefix(prefix): value for key, value in keyed if str(key).startswith(prefix)}
    if any(isinstance(value, dict) and "secure" in value for value in said.values()):
        return
    given = {key: value if isinstance(value, dict | list) else str(value) for key, value in said.items()}
    try:
        stack_config.parse(given, rehearsal.stack)
    except ValueError as error:
        raise UserError(str(error)) from None


def _explain(cluster: Cluster | None) -> None:
    """Beside what the engine says: processes of the control plane that are gone."""
    for fault in cluster.plane.problems() if cluster else ():
        info(f"\n{fault}. The same command starts it again.")


def _verdict(stack: str, charts: Sequence[ChartEvaluation], report: ClusterReport | None, *, strict: bool) -> int:
    """The exit code for what the engine did not see: charts' objects, pods. What is wrong is said in full."""
    at = {"charts": chart_policies.list_problems(charts, strict=strict), "cluster": report.problems if report else []}
    for line in [*chart_policies.list_advisories(charts), *at["charts"], *at["cluster"]]:
        info(f"\n{line}")
    failed = [place for place, faults in at.items() if faults]
    if failed:
        info(f"\nThe rehearsal of {stack} failed at its {' and its '.join(failed)}, see above.")
    return int(bool(failed))


def _events(rehearsal: Rehearsal, step: str) -> Path:
    return rehearsal.folder / f"{step.replace(' ', '-')}-events.jsonl"


def destroy(arguments: Namespace) -> int:
    """Destroy the rehearsed stack."""
    rehearsal = Rehearsal(arguments.stack)
    with rehearsal.running(arguments.port) as running:
        return _engine(rehearsal, ["destroy", "--yes"], running.environment)


def reset(arguments: Namespace) -> int:
    """Forget the rehearsal: its simulated resources and its state."""
    Rehearsal(arguments.stack).remove()
    return 0


def shell(arguments: Namespace) -> int:
    """A shell in which plain `pulumi`, and `kubectl` and `helm` if they are there, work on the rehearsal."""
    rehearsal = Rehearsal(arguments.stack)
    with rehearsal.running(arguments.port) as running:
        info(f"`pulumi` now works on a rehearsal of {rehearsal.stack}; the clouds are simulated. Leave with `exit`.")
        if running.cluster:
            info("So do `kubectl` and `helm`: the control plane is real, the pods' processes are simulated.")
        command = [os.environ.get("SHELL", "/bin/sh")]
        with _interrupts_left_to_child():
            return subprocess.run(command, cwd=ROOT, env=dict(running.environment), check=False).returncode


def serve(arguments: Namespace) -> int:
    """Serve the simulated clouds until stopped, having written the environment to the rehearsal's folder."""
    rehearsal = Rehearsal(arguments.stack)
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before any thread starts, so that only `sigwait` gets them
    with rehearsal.running(arguments.port) as running:
        ours = {key: value for key, value in running.environment.items() if os.environ.get(key) != value}
        lines = [f"export {key}={shlex.quote(value)}" for key, value in sorted(ours.items())]
        rehearsal.environment_file.write_text("\n".join(lines) + "\n")
        try:
            signal.sigwait(ends)
        finally:
            rehearsal.environment_file.unlink()
    return 0


def env(arguments: Namespace) -> int:
    """Start the simulated clouds in the background and print the environment for a shell to evaluate."""
    rehearsal = Rehearsal(arguments.stack)
    session.prepare()  # a first build shows its progress here, not in the server's log
    file = rehearsal.environment_file
    if not _serves(rehearsal):
        file.unlink(missing_ok=True)
        log = CACHE / f"serve-{rehearsal.stack}.log"
        command = [sys.executable, "-m", "rehearsal", "serve", rehearsal.stack, "--port", str(arguments.port)]
        # Nothing of this process's is left open in the server, or whoever reads our output would wait for its end.
        with log.open("w") as said:
            server = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        while not file.exists():
            if server.poll() is not None:
                raise UserError(log.read_text().removeprefix("error: ").strip())
            time.sleep(0.1)
        info(f"Simulated clouds of {rehearsal.stack} are serving; `make stop STACK={rehearsal.stack}` ends them.")
    print(file.read_text(), end="")
    return 0


def stop(arguments: Namespace) -> int:
    """End what `env` started, and wait until it has."""
    rehearsal = Rehearsal(arguments.stack)
    if not _serves(rehearsal):
        raise UserError(f"No simulated clouds of {rehearsal.stack} are serving in the background.")
    os.kill(rehearsal.holder_pid(), signal.SIGTERM)
    while rehearsal.is_running():
        time.sleep(0.05)
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


def _serves(rehearsal: Rehearsal) -> bool:
    """Whether clouds serve in the background. The lock says that something runs, the file that it is they."""
    return rehearsal.environment_file.exists() and rehearsal.is_running()
