"""A scenario that runs on a stack: its commands, the settings that it changes, and the results that it requires.

Each command is one that people run, in a separate process, on a rehearsal beside the stack's usual one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from kernel.engine_events import list_errors, list_refusals, read_events
from kernel.paths import look_up
from kernel.reviewed_entries import find_today
from plan_guard import evaluate_plan, read_plan
from rehearsal import setting_changes
from rehearsal.console import UserError, info
from rehearsal.interrupts import interrupts_left_to_child
from rehearsal.movement_harm import find_harm, read_steps
from rehearsal.policy_configuration import write_configuration
from rehearsal.session import Rehearsal
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.toolchain import ROOT


@dataclass(frozen=True)
class ScenarioRun:
    """
    rehearsal  the scenario's own rehearsal
    shared     rehearsal from which all scenarios of a stack start, brought up by the first; None: there is only one
    """

    rehearsal: Rehearsal
    shared: Rehearsal | None = None

    def bring_up(self, title: str) -> None:
        """Bring the stack up in a fresh account, or continue from a copy of a rehearsal in which that was done.

        Raises UserError if this fails.
        """
        if self.shared is None:
            self.succeed(title, "up", "--account", "fresh")
            return
        if not self.shared.folder.exists():
            first = ScenarioRun(self.shared)
            try:
                first.bring_up(title)
            except UserError:
                self.shared.remove()  # so that no other scenario starts from it
                raise
        info(f"\n== {self.rehearsal.stack}: a copy of the rehearsal in a fresh account")
        self.shared.files.copy_to(self.rehearsal.folder)

    def succeed(self, title: str, command: str, *options: str) -> None:
        """Run a command that has to succeed, with a preview that loses no data. Raises UserError otherwise."""
        if _wait(self.start(title, command, *options)) != 0:
            raise UserError(f"It failed at '{title}': the reason is above.")
        if command == "up":
            plan = read_plan(self._log("preview").read_text(), "The preview")
            if refusal := evaluate_plan(plan, [], find_today()).refuse("approvals", find_today()):
                raise UserError(f"It failed at '{title}': {refusal.splitlines()[0]}\n{refusal.splitlines()[1]}")

    def fail(self, title: str, words: Sequence[str], command: str, *options: str) -> None:
        """Run a command that has to fail with an error that contains one of `words`. Raises UserError otherwise."""
        for step in ("preview", "up"):
            self._log(step).unlink(missing_ok=True)
        if _wait(self.start(title, command, *options)) == 0:
            raise UserError(f"It failed at '{title}': the command was not refused.")
        errors = [error for step in ("preview", "up") for error in list_errors(read_events(self._log(step)))]
        if not any(word in error for word in words for error in errors):
            raise UserError(f"It failed at '{title}': the refusal does not mention any of: {', '.join(words)}.")
        info(f"\nRefused, as expected: '{title}'.")

    def start(self, title: str, command: str, *options: str) -> subprocess.Popen[bytes]:
        """Start one of the rehearsal's commands."""
        info(f"\n== {self.rehearsal.stack}: {title}")
        rehearsal = self.rehearsal
        purpose = ["--purpose", rehearsal.purpose]
        arguments = [sys.executable, "-m", "rehearsal", command, rehearsal.stack, *purpose, *options]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return subprocess.Popen(arguments, cwd=rehearsal.project.root, env={**os.environ, "PYTHONPATH": path})

    def move(self, actor: str) -> None:
        """Have an actor change the cloud. If the next deployment is then refused, adjust settings to what has grown.

        Raises UserError if the next deployment would do harm, or if no setting can be adjusted.
        """
        if _wait(self.start(f"changes in the cloud: {actor}", "move", "--actor", actor)) == 0:
            return
        grown = dict(self._list_grown())
        if not grown:
            raise UserError(f"It failed after '{actor}' moved the cloud: the reason is above.")
        self.set(grown)
        values = ", ".join(f"{path} = {value}" for path, value in grown.items())
        self.succeed(f"up with settings that follow: {values}", "up")

    def require_harmless(self, title: str) -> None:
        """Raise UserError if the last preview would harm something that exists."""
        steps = read_steps(read_events(self._log("preview")))
        if harm := [line for step in steps for line in find_harm(step)]:
            raise UserError(f"It failed at '{title}': {'; '.join(harm)}.")

    def require_cause(self, title: str, settings: Collection[str]) -> None:
        """Raise UserError if the explanation of the last refusal does not name any of these settings.

        Does nothing if the project has no search for causes.
        """
        refusals = {name: text for step in ("preview", "up") for name, text in self._list_refusals(step)}
        causes = setting_changes.explain_failure(self.rehearsal, "", refusals)
        if self.rehearsal.project.causes and not any(f":{each} = " in causes for each in settings):
            raise UserError(f"It failed at '{title}': the refusal is not traced to {' or '.join(settings)}.")

    def read_setting(self, name: str) -> str:
        """A top-level setting of the stack's file, as text."""
        return _read_setting(self.rehearsal, name)

    def set(self, settings: Mapping[str, Any]) -> None:
        """Change settings only in this rehearsal, keyed by path, `section.name`. None removes a setting."""
        self.rehearsal.refresh_settings()
        path = self.rehearsal.workspace.stack_copy(self.rehearsal.stack).path
        content = yaml.safe_load(path.read_text()) or {}
        for name, value in settings.items():
            _put(content.setdefault("config", {}), [f"{self._namespace}{name.partition('.')[0]}", *_rest(name)], value)
        path.write_text(yaml.safe_dump(content))

    def restore(self, settings: Collection[str]) -> None:
        """Reset settings to the values in the stack's file."""
        config = self.rehearsal.project.read_stack_file(self.rehearsal.stack).config
        self.set(
            {
                name: look_up(config, (f"{self._namespace}{name.partition('.')[0]}", *_rest(name)), None)
                for name in settings
            }
        )

    def allow_exceptions(self) -> list[str]:
        """Options of `up` that add the project's exceptions for scenarios to those of its policy pack, for a few days.

        Raises UserError if the pack's own are not valid.
        """
        project = self.rehearsal.project
        resources = project.scenarios.exceptions.get(read_account(self.rehearsal), {})
        if project.policy_pack is None or not resources:
            return []
        return [
            "--policy-pack-config",
            str(write_configuration(self.rehearsal.folder, self.rehearsal.stack, resources)),
        ]

    def describe(self, key: str) -> Any:
        """A value from `scenarios` in the project's description, for this stack. Raises UserError if it is not set."""
        account = read_account(self.rehearsal)
        found = getattr(self.rehearsal.project.scenarios, key).get(account)
        if not found:
            raise UserError(f"rehearsal.yaml has no '{key}' for this scenario: set it in `scenarios` for '{account}'.")
        return found

    def on(self, stack: str) -> ScenarioRun:
        """The same scenario on another stack of the project, in a new rehearsal."""
        other = replace(self.rehearsal, stack=stack)
        other.remove()
        return ScenarioRun(other)

    @property
    def _namespace(self) -> str:
        return f"{self.rehearsal.project.name}:"

    def _log(self, step: str) -> Path:
        return self.rehearsal.folder / f"{step}-events.jsonl"

    def _list_refusals(self, step: str) -> Iterator[tuple[str, str]]:
        yield from list_refusals(read_events(self._log(step))).items()

    def _list_grown(self) -> Iterator[tuple[str, Any]]:
        """Settings whose resources a cloud enlarges by itself, with the present values."""
        with closing(StateStore(self.rehearsal.files.state)) as state:
            for setting, place in self.rehearsal.project.scenarios.grown.items():
                type_, _, path = place.partition(" ")
                for record in state.all(type_):
                    yield setting, look_up(record.inputs, path, None)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a command, which receives Ctrl-C itself and stops cleanly."""
    with interrupts_left_to_child() as interrupted:
        code = process.wait()
    if interrupted:
        raise KeyboardInterrupt
    return code


def read_account(rehearsal: Rehearsal) -> str:
    """The value of the setting that stacks in one account share."""
    return _read_setting(rehearsal, rehearsal.project.scenarios.account)


def _read_setting(rehearsal: Rehearsal, name: str) -> str:
    return str(rehearsal.settings_in_force().values.get(f"{rehearsal.project.name}:{name}"))


def _rest(name: str) -> list[str]:
    """The steps of a setting's path below its section."""
    return name.split(".")[1:]


def _put(content: dict[str, Any], steps: Sequence[str], value: Any) -> None:
    """Set a value at a path, creating sections that do not exist; None removes it."""
    first, *others = steps
    if others:
        content[first] = dict(content.get(first) or {})
        _put(content[first], others, value)
    elif value is None:
        content.pop(first, None)
    else:
        content[first] = value
