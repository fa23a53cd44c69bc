"""A stack's cluster, accessed with `kubectl` and the kubeconfig in the stack's outputs."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delivery.errors import DeliveryError
from deploy.programs import Answer, Programs

_LONGEST_COMMAND = 1800.0  # seconds; a promotion runs the gate, which loads the model


@dataclass(frozen=True)
class Cluster:
    """The cluster behind a kubeconfig."""

    programs: Programs
    kubeconfig: Path

    def ask(self, *arguments: str, timeout: float = 90.0) -> Answer:
        """Run kubectl, and wait for its answer, at most `timeout` seconds."""
        return self.programs.ask("kubectl", "--kubeconfig", str(self.kubeconfig), *arguments, timeout=timeout)

    def list_objects(self, kind: str, *arguments: str) -> Sequence[dict[str, Any]]:
        """The objects of a kind, in all namespaces unless `arguments` name one. Raises DeliveryError."""
        answer = self.ask("get", kind, *(arguments or ("--all-namespaces",)), "--output", "json")
        if answer.code:
            raise DeliveryError(f"The cluster does not list its {kind}: {answer.reason}.")
        items: Sequence[dict[str, Any]] = json.loads(answer.output)["items"]
        return items

    def execute(self, namespace: str, deployment: str, *command: str) -> Answer:
        """Run a command in a pod of a Deployment, with that pod's environment and permissions."""
        pod = ("--namespace", namespace, f"deployment/{deployment}")
        return self.ask("exec", *pod, "--", *command, timeout=_LONGEST_COMMAND)


@contextmanager
def connect(stack: str, programs: Programs) -> Iterator[Cluster]:
    """The cluster of a deployed stack. Raises DeliveryError.

    While the context lasts, the kubeconfig is in a file that only this user may read.
    """
    answer = programs.ask("pulumi", "stack", "output", "kubeconfig", "--show-secrets", "--stack", stack)
    if answer.code or not answer.output.strip():
        reason = answer.reason if answer.code else "it is empty"
        raise DeliveryError(
            f"The stack '{stack}' has no kubeconfig in its backend ({reason}): deploy it first, with "
            f"`make up STACK={stack}`."
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "kubeconfig")
        with open(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600), "w") as stream:
            stream.write(answer.output)
        yield Cluster(programs, file)
