"""The commands of the rehearsal. Each returns an exit code and raises UserError for errors that people can correct."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from argparse import Namespace

from kernel.protection import explain_protection
from kernel.rehearsals import REHEARSED_STACK
from rehearsal import scenario_runs
from rehearsal.console import UserError, info, warn
from rehearsal.engine_runs import read_engine, run_engine
from rehearsal.interrupts import interrupts_left_to_child
from rehearsal.polling import wait_until
from rehearsal.preparation import preparing
from rehearsal.scenarios import model_lifecycle
from rehearsal.scene import Scene
from rehearsal.secret_leaks import report_leaks
from rehearsal.session import Rehearsal
from rehearsal.toolchain import ROOT


def destroy(arguments: Namespace) -> int:
    """Destroy the rehearsed stack. Raises UserError if it was never deployed."""
    rehearsal = Rehearsal(arguments.stack, arguments.purpose, scene=Scene.parse(arguments))
    stack = rehearsal.stack
    if not rehearsal.backend.exists():
        raise UserError(f"There is no rehearsal of {stack} to destroy. {_how_to_begin(stack)}")
    if not rehearsal.read_resources():
        remedy = f"`make rehearse STACK={stack}` brings it up."
        info(f"Nothing of {stack} is deployed, so there is nothing to destroy. {remedy}")
        return 0
    info(f"Destroying the rehearsal of {stack}; the clouds are simulated.")
    with rehearsal.running(arguments.port) as running:
        code = run_engine(
            rehearsal, ["destroy", "--yes"], running.environment, rehearsal.folder / "destroy-events.jsonl"
        )
        if code != 0:
            state = json.loads(read_engine(rehearsal, ["stack", "export"], running.environment))
            resources = (state.get("deployment") or {}).get("resources") or ()
            if reason := explain_protection(resources, stack, _how_to_unprotect(stack)):
                info(reason)
        else:
            info(f"The rehearsal of {stack} is destroyed. `make rehearse-reset STACK={stack}` removes its files, too.")
    has_leaks = report_leaks(rehearsal)
    return code or int(has_leaks)


def _how_to_unprotect(stack: str) -> str:
    return (
        "as on the real clouds, turn protection off with the program's setting for it, run "
        f"`make rehearse STACK={stack}`, and destroy it again. `make rehearse-reset STACK={stack}` discards it at once."
    )


def reset(arguments: Namespace) -> int:
    """Delete the rehearsal: its simulated resources and its state."""
    rehearsal = Rehearsal(arguments.stack)
    if not rehearsal.folder.exists():
        info(f"There is no rehearsal of {rehearsal.stack} to discard. {_how_to_begin(rehearsal.stack)}")
        return 0
    rehearsal.remove()
    info(f"The rehearsal of {rehearsal.stack} is discarded: its simulated resources, its cluster and its state.")
    return 0


def _report_empty(rehearsal: Rehearsal) -> None:
    """Print a message if the rehearsal was never brought up, or was destroyed or discarded."""
    if not rehearsal.read_resources():
        info(
            f"Nothing of {rehearsal.stack} is deployed in this rehearsal: `pulumi up` brings it up. "
            f"In another shell, `make rehearse STACK={rehearsal.stack}` does so, and checks charts and cluster, too."
        )


def _how_to_begin(stack: str) -> str:
    return f"`make rehearse STACK={stack}` begins one."


def shell(arguments: Namespace) -> int:
    """Open a shell in which plain `pulumi`, and `kubectl` and `helm` if installed, work on the rehearsal."""
    rehearsal = Rehearsal(arguments.stack, scene=Scene.parse(arguments))
    with rehearsal.running(arguments.port) as running:
        info(f"`pulumi` now works on a rehearsal of {rehearsal.stack}; the clouds are simulated. Leave with `exit`.")
        if running.cluster:
            info("So do `kubectl` and `helm`: the control plane is real, the pods' processes are simulated.")
        _report_empty(rehearsal)
        program = os.environ.get("SHELL", "/bin/sh")
        start = rehearsal.prepare_shell(program)
        if not start.is_protected:
            warn(
                f"The startup files of {program} may point kubectl, helm and other programs elsewhere: only bash, zsh, "
                "fish and sh are protected from that. Choose one with `SHELL=/bin/bash make shell`."
            )
        with interrupts_left_to_child():
            result = subprocess.run(start.command, cwd=rehearsal.project.root, env=start.variables, check=False)
    if report_leaks(rehearsal):
        return 1
    # The exit code is that of the last command: it matters to a script, not to a person who leaves the shell.
    return 0 if sys.stdin.isatty() else result.returncode


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
        # The server inherits none of this process's streams: a reader of our output would wait until the server ends.
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
        info(f"Simulated clouds of {rehearsal.stack} are serving; `make stop STACK={rehearsal.stack}` stops them.")
    _report_empty(rehearsal)
    print(rehearsal.files.shell_script.read_text(), end="")
    return 0


def stop(arguments: Namespace) -> int:
    """Stop the process that `env` started, and wait until it has ended."""
    rehearsal = Rehearsal(arguments.stack)
    if not rehearsal.serves_in_background():
        raise UserError(f"No simulated clouds of {rehearsal.stack} are serving in the background.")
    os.kill(rehearsal.files.holder_pid(), signal.SIGTERM)
    wait_until(lambda: not rehearsal.is_running(), timeout=math.inf)
    if os.environ.get(REHEARSED_STACK) == rehearsal.stack:
        info(
            "This shell still has the environment of the rehearsal, which is no longer served: open a new shell, "
            f'or serve again with `eval "$(make -s env STACK={rehearsal.stack})"`.'
        )
    return 0


def scenario(arguments: Namespace) -> int:
    """Take a stack through circumstances that change."""
    return scenario_runs.run(arguments.name, arguments.stack)


def lifecycle(arguments: Namespace) -> int:
    """Take a model through its whole lifecycle on a rehearsed stack: trained, promoted, rolled out, rolled back."""
    return model_lifecycle.run(arguments.stack, arguments.port)
