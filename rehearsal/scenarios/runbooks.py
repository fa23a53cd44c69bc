"""Follows the commands of a runbook on a rehearsed stack, as an operator would.

`kubectl` is the real one. Two of its commands need a kubelet, which the rehearsal does not have: here, `logs` shows the
output of the pod's process, and `exec` runs the command on this machine, in the environment of the pod's process.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from rehearsal.console import UserError
from rehearsal.kubernetes.client import Object
from rehearsal.scenarios.environment import ScenarioEnvironment
from rehearsal.scenarios.kubelet_stub import pod_log
from rehearsal.scenarios.processes import python

_TIMEOUT = 300  # seconds; MLflow's client is slow on a busy machine
_REPLACED = {"mlflow": "mlflow"}  # namespaces whose simulated pods are replaced by one process


class Runbook:
    """A page of platform/runbooks."""

    def __init__(self, page: Path, environment: ScenarioEnvironment, variables: Mapping[str, str]) -> None:
        """`variables` are the environment in which `kubectl` works on the rehearsal."""
        _, *parts = re.split(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
        self._sections = dict(zip(parts[::2], parts[1::2], strict=True))
        self._environment = environment
        self._variables = variables
        self.followed: list[str] = []
        """The commands that were run."""

    def follow(self, section: str, **names: str) -> Sequence[str]:
        """Run the commands of a section, and return the output of each.

        `names` replace the page's placeholders in angle brackets. Raises UserError if a command fails.
        """
        text = self._sections[section]
        commands = re.findall(r"^\$ (.+)$", text, re.MULTILINE) + re.findall(r"`(kubectl [^`]+)`", text)
        return [self._run(_fill_in(command, names)) for command in commands]

    def _run(self, command: str) -> str:
        self.followed.append(command)
        arguments = shlex.split(command)
        if arguments[:2] == ["kubectl", "logs"]:
            return self._show_log(arguments)
        variables = self._variables
        if arguments[:2] == ["kubectl", "exec"]:
            variables = _read_variables(self._find_pods(arguments)[0])
            arguments = arguments[arguments.index("--") + 1 :]
            arguments[0] = str(python())
        reply = subprocess.run(
            arguments, env=dict(variables), capture_output=True, text=True, check=False, timeout=_TIMEOUT
        )
        if reply.returncode != 0:
            raise UserError(f"`{command}` failed: {reply.stdout}{reply.stderr}")
        return reply.stdout

    def _show_log(self, arguments: Sequence[str]) -> str:
        namespace = arguments[arguments.index("--namespace") + 1]
        if namespace in _REPLACED:
            return "\n".join(self._environment.processes.output_lines(_REPLACED[namespace])[-100:])
        logs = [pod_log(self._environment.plane, pod["metadata"]["name"]) for pod in self._find_pods(arguments)]
        return "\n".join(log.read_text(errors="replace") for log in logs)

    def _find_pods(self, arguments: Sequence[str]) -> Sequence[Object]:
        """The pods that a command refers to, by a label or by a Deployment."""
        api, namespace = self._environment.plane.api, arguments[arguments.index("--namespace") + 1]
        if "--selector" in arguments:
            return api.list("v1", "Pod", namespace, label_selector=arguments[arguments.index("--selector") + 1])
        (name,) = [each.partition("/")[2] for each in arguments if each.startswith("deployment/")]
        labels = (api.get("apps/v1", "Deployment", name, namespace) or {})["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        return api.list("v1", "Pod", namespace, label_selector=selector)


def _fill_in(command: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        command = command.replace(f"<{name}>", value)
    return command


def _read_variables(pod: Object) -> Mapping[str, str]:
    """The environment of the process that the kubelet stub runs for a pod: its paths contain the pod's UID."""
    mark = f"/pods/{pod['metadata']['uid']}".encode()
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            content = file.read_bytes()
        except OSError:  # it has ended, or is another user's
            continue
        if mark in content:
            pairs = (each.decode().partition("=") for each in content.split(b"\0") if each)
            return {name: value for name, _, value in pairs}
    raise UserError(f"The pod {pod['metadata']['name']} has no process on this machine.")
