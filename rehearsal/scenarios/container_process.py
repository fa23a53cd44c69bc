"""The process of one container on this machine: its command and environment, its readiness, and how it ended."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from rehearsal.kubernetes.control_plane.control_plane import HOST, free_ports
from rehearsal.kubernetes.control_plane.process_supervisor import ProcessSupervisor
from rehearsal.scenarios.pod_volumes import find_mounts, translate_path

ALWAYS, ON_FAILURE = "Always", "OnFailure"  # of a pod's restartPolicy; the third is Never

_PROBE_TIMEOUT = 2.0  # seconds
_DEFAULT_PERIOD = 10.0  # seconds between two probes, Kubernetes' default
_MAX_RESTART_DELAY = 60.0  # seconds; the delay starts at 2 and doubles with each exit
_SCRATCH = "/tmp"  # noqa: S108 a path in containers
_ANY_ADDRESS = "0.0.0.0"  # noqa: S104 that a container listens on
_MAX_MESSAGE = 4096  # bytes: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
_MAX_LOG_MESSAGE = 2048  # bytes of a log that is used in place of a termination message
_REFERENCE = re.compile(r"\$(\$)?\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


@dataclass(frozen=True)
class ImageProgram:
    """The program that runs in place of an image.

    entry_point  of the image
    environment  takes precedence over the container's own
    """

    entry_point: Sequence[str]
    environment: Mapping[str, str]


class ContainerProcess:
    """A container of a pod. Its process listens on `port`, in place of `container_port`."""

    def __init__(
        self,
        supervisor: ProcessSupervisor,
        process: str,
        container: Mapping[str, Any],
        program: ImageProgram,
        volumes: Mapping[str, Path],
        log: Path,
        folder: Path,
    ) -> None:
        """
        process  the name of the supervised process
        folder   of the pod, where the container's termination message is written
        """
        self._supervisor = supervisor
        self._container = container
        self._program = program
        self._log = log
        self._message_file = folder / f"{container['name']}.message"
        self._next_probe = 0.0
        self._restart_at = 0.0  # on the monotonic clock, 0 while it is running
        self._process = process
        self.name = str(container["name"])
        self.image = str(container["image"])
        self.is_ready = False
        self.restarts = 0
        self.started_at = self.ended_at = 0.0  # seconds since 1970
        ports = container.get("ports") or [{}]
        self.container_port: int | None = ports[0].get("containerPort")
        (self.port,) = free_ports(1)
        self._mounts = find_mounts(container, volumes)
        if path := container.get("terminationMessagePath"):
            self._mounts = {**self._mounts, str(path): self._message_file}

    @property
    def exit_code(self) -> int | None:
        """None while it runs; 128 plus the signal's number for a process that a signal ended."""
        code = self._supervisor.exit_code(self._process)
        return code if code is None or code >= 0 else 128 - code

    def start(self) -> None:
        self.started_at = time.time()
        environment = self._build_environment()
        arguments = [
            translate_path(_expand(argument, environment), self._mounts) for argument in self._container.get("args", ())
        ]
        command = [*self._program.entry_point, *arguments]
        self._supervisor.start(self._process, command, self._log, environment, graceful=True)

    def stop(self) -> None:
        self._supervisor.stop(self._process)

    def restart_if_exited(self) -> None:
        """Restart a process that exited by itself, after a delay that grows with each exit, as kubelets do."""
        has_exited = self.exit_code is not None
        if has_exited and not self._restart_at:
            self.restarts += 1
            self._restart_at = time.monotonic() + min(2.0**self.restarts, _MAX_RESTART_DELAY)
        elif has_exited and time.monotonic() >= self._restart_at:
            self._restart_at = 0.0
            self.start()

    def probe(self) -> None:
        """Update whether it is ready, by the container's own probe; once it is ready, at the probe's own period.

        Until then it is probed at every call, since a scenario waits for it. Without a probe it is ready while it runs.
        """
        probe = self._container.get("readinessProbe")
        if probe is None:
            self.is_ready = self.exit_code is None
            return
        if time.monotonic() < self._next_probe:
            return
        self.is_ready = False
        with contextlib.suppress(requests.RequestException):
            url = f"http://{HOST}:{self.port}{probe['httpGet']['path']}"
            self.is_ready = requests.get(url, timeout=_PROBE_TIMEOUT).status_code == 200
        if self.is_ready:
            self._next_probe = time.monotonic() + float(probe.get("periodSeconds", _DEFAULT_PERIOD))

    def has_ended(self, restart_policy: str) -> bool:
        """Whether the process has exited and, according to its pod's restart policy, is not restarted."""
        code = self.exit_code
        if code is None or restart_policy == ALWAYS or (restart_policy == ON_FAILURE and code != 0):
            return False
        self.is_ready = False
        self.ended_at = self.ended_at or time.time()
        return True

    def read_message(self) -> str:
        """The process's termination message, or the end of its log if the container's policy is to fall back to it."""
        message = self._message_file.read_bytes()[:_MAX_MESSAGE] if self._message_file.exists() else b""
        falls_back = self._container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not message and falls_back and self.exit_code and self._log.exists():
            message = self._log.read_bytes()[-_MAX_LOG_MESSAGE:]
        return message.decode(errors="replace")

    def _build_environment(self) -> Mapping[str, str]:
        declared: dict[str, str] = {}
        for variable in self._container.get("env", ()):
            if "value" in variable:
                value = _expand(variable["value"], declared)
                declared[variable["name"]] = translate_path(
                    self._replace_address(variable["name"], value), self._mounts
                )
        own = {"HOST": HOST, "PORT": str(self.port)}
        if _SCRATCH in self._mounts:
            own["TMPDIR"] = str(self._mounts[_SCRATCH])
        return {**declared, **self._program.environment, **own}

    def _replace_address(self, name: str, value: str) -> str:
        """Replace the address that a process listens on: any address and the container's port become this machine's."""
        if value == _ANY_ADDRESS:
            return HOST
        is_port = name.endswith("PORT") and value == str(self.container_port)
        return str(self.port) if is_port else value


def _expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by a variable defined before it; an unknown name is left as it is, and `$$(NAME)` is `$(NAME)`.

    Source: https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """

    def replace(found: re.Match[str]) -> str:
        is_escaped, name = found.groups()
        return f"$({name})" if is_escaped else variables.get(name, found[0])

    return _REFERENCE.sub(replace, text)
