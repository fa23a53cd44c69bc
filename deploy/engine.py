"""The Pulumi engine: its version, its backend, the stack in it, and its runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from deploy.errors import DeployError
from deploy.findings import Finding, missing, note, ok
from deploy.programs import ROOT, Programs
from deploy.stack import Stack
from kernel.engine_events import LOG_VARIABLES
from kernel.engine_progress import NO_DOTS, report_waits

_INSTALL_URL = "https://www.pulumi.com/docs/install/"
# The remedy if a backend cannot be used.
LOG_IN = "run `pulumi login`, or set PULUMI_ACCESS_TOKEN, or PULUMI_BACKEND_URL to a bucket or folder"
_PASSPHRASE, _PASSPHRASE_FILE = "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"
# Exit codes of the engine. Source: sdk/go/common/util/cmdutil/exit.go of its repository.
_STACK_NOT_FOUND = 6


@dataclass(frozen=True)
class Engine:
    """The engine on PATH.

    is_interactive  whether a person can answer the engine's questions
    """

    programs: Programs
    is_interactive: bool

    def check_program(self) -> Finding:
        """Check that the engine is not older than the SDK: it might not understand what the SDK sends."""
        minimum, program = version("pulumi"), self.programs.find("pulumi")
        remedy = f"install Pulumi {minimum} or later with its Python language host: {_INSTALL_URL}"
        if not program:
            return missing(
                "pulumi", "`pulumi` is not on PATH; the rehearsal's own build is not for real clouds", remedy
            )
        found = self.programs.ask("pulumi", "version").output.strip()
        if _parse_version(found) < _parse_version(minimum):
            return missing("pulumi", f"{program} reports version '{found}'; the SDK needs {minimum} or later", remedy)
        return ok("pulumi", f"{found} ({program})")

    def check_attachment(self) -> Iterator[Finding]:
        """Check whether the engine is attached to providers that are already running, as in a rehearsal's shell."""
        if attached := self.programs.environment.get("PULUMI_DEBUG_PROVIDERS"):
            yield note(
                "clouds",
                f"PULUMI_DEBUG_PROVIDERS attaches the engine to running providers ({attached}), as in a rehearsal: "
                "their clouds are changed, not the real one",
                "unset it, or leave the rehearsal's shell, to deploy to the real cloud",
            )

    def check_state(self, stack: Stack) -> Iterator[Finding]:
        """Check the backend, the stack in it, and the encryption of its secrets."""
        answer = self.programs.ask("pulumi", "whoami", "--json", "--non-interactive")
        if answer.code:
            yield missing(
                "backend",
                f"Pulumi cannot use its backend: {answer.reason}",
                LOG_IN,
            )
            return
        backend = json.loads(answer.output)
        yield ok("backend", f"{backend['url']}, as {backend['user']}")
        problem = self._find_passphrase_problem(stack, backend["url"])
        if problem:
            yield problem
            return
        yield from self._check_stack(stack)

    def _find_passphrase_problem(self, stack: Stack, url: str) -> Finding | None:
        """Pulumi Cloud and key services encrypt secrets themselves; any other backend needs a passphrase."""
        environment = self.programs.environment
        if url.startswith(("https://", "http://")) or stack.secrets_provider not in ("", "default", "passphrase"):
            return None
        file = environment.get(_PASSPHRASE_FILE, "")
        if _PASSPHRASE in environment or (file and Path(file).is_file()):
            return None
        if file:
            return missing("encryption", f"{_PASSPHRASE_FILE} is '{file}', which is not a file", "correct it")
        if self.is_interactive:
            return None
        return missing(
            "encryption",
            f"secrets in {url} are encrypted with a passphrase, and there is no terminal to ask for it",
            f"set {_PASSPHRASE} or {_PASSPHRASE_FILE}, or encrypt with a key service "
            f"(`secretsprovider:` in {stack.file.name})",
        )

    def _check_stack(self, stack: Stack) -> Iterator[Finding]:
        """Encrypt a word into a private copy of the stack's file, which fails if a deployment would."""
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(stack.file, folder)
            command = ["config", "set", "--secret", "probe", "word", "--stack", stack.name, "--config-file", str(copy)]
            answer = self.programs.ask("pulumi", *command, "--non-interactive")
        if answer.code == _STACK_NOT_FOUND:
            yield ok("stack", f"'{stack.name}' is not in the backend yet; the first preview or deployment creates it")
        elif answer.code and not (self.is_interactive and "passphrase must be set" in answer.error):
            yield missing(
                "encryption",
                f"secrets of '{stack.name}' cannot be encrypted: {answer.reason}",
                f"provide the passphrase, or the rights on the key, that {stack.file.name} was encrypted with",
            )
        else:
            yield ok("stack", f"'{stack.name}' is in the backend")

    def select_stack(self, stack: Stack, *, create: bool) -> str:
        """Select the stack in the backend; if it does not exist, create it. Returns what was done, in one line.

        Raises DeployError with the engine's message, also if the stack does not exist and may not be created.
        """
        selected = self.programs.ask("pulumi", "stack", "select", stack.name, "--non-interactive")
        if selected.code == 0:
            return f"Selected stack '{stack.name}'."
        if selected.code != _STACK_NOT_FOUND or not create:
            raise DeployError(f"Stack '{stack.name}' cannot be selected: {selected.reason}.")
        before = stack.file.read_bytes()
        # Without the option the engine would replace the key service that the file names with a passphrase.
        provider = ["--secrets-provider", stack.secrets_provider] if stack.secrets_provider else []
        if self.run("stack", "init", stack.name, *provider):
            raise DeployError(f"Stack '{stack.name}' cannot be created; Pulumi says why above.")
        if stack.file.read_bytes() == before:
            return f"Stack '{stack.name}' is new in the backend."
        return f"Stack '{stack.name}' is new in the backend. Commit {stack.file.name}, which holds its encryption now."

    def run(self, *arguments: str, log: Path | None = None) -> int:
        """Run the engine with its output on the terminal; returns its exit code. `log` is the file for its events."""
        quiet = () if self.is_interactive else ("--non-interactive",)
        events = ("--event-log", str(log)) if log else ()
        dots, waits = (NO_DOTS, report_waits(log, _report)) if log and not self.is_interactive else ((), nullcontext())
        command = [self.programs.find("pulumi"), *arguments, *quiet, *dots, *events]
        environment = {**self.programs.environment, **(LOG_VARIABLES if log else {})}
        with waits:
            return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parse_version(text: str) -> tuple[int, ...]:
    """The numbers of `v3.255.0` or `3.255.0`; empty when the text holds no version."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else ()
