"""The processes of the model's life on this machine: MLflow, and the promotion's and rollout's own.

The guard of the control plane keeps them, so none outlives the rehearsal.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from rehearsal.console import UserError
from rehearsal.kubernetes.control_plane.control_plane import HOST, ControlPlane
from rehearsal.toolchain import ROOT

PACKAGE = ROOT / "platform" / "lifecycle"
PYTHON = PACKAGE / ".venv" / "bin" / "python"

_START = 120.0  # seconds until a process that does not answer counts as failed
_END = 500  # characters of a log that an error shows


@dataclass(frozen=True)
class Processes:
    """Starts processes with the package's interpreter, and waits until they answer.

    environment  of all of them
    """

    plane: ControlPlane
    folder: Path
    environment: Mapping[str, str]

    def start(self, name: str, command: Sequence[str | Path], **environment: str) -> None:
        log = self._log(name)
        everything = {**self.environment, **environment}
        self.plane.supervisor.start(name, [str(each) for each in command], log, everything, graceful=True)

    def module(self, name: str, module: str, *arguments: str, **environment: str) -> None:
        """Start one of the package's modules."""
        self.start(name, [PYTHON, "-m", module, *arguments], **environment)

    def answers(self, name: str, url: str) -> None:
        """Wait until a process says yes. Raises UserError when it ends, or does not."""
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline:
            if self.plane.supervisor.exit_code(name) is not None:
                break
            try:
                if requests.get(url, timeout=2).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise UserError(f"{name} does not answer; its log is {self._log(name)}, and ends with:\n{self.words(name)}")

    def finishes(self, name: str, patience: float) -> None:
        """Wait until a process has done its work. Raises UserError when it fails, or takes too long."""
        deadline = time.monotonic() + patience
        while (code := self.plane.supervisor.exit_code(name)) is None:
            if time.monotonic() > deadline:
                raise UserError(f"{name} is not done after {patience:g} s; its log is {self._log(name)}")
            time.sleep(0.1)
        if code != 0:
            raise UserError(f"{name} ended with exit code {code}; its log ends with:\n{self.words(name)}")

    def lines(self, name: str) -> Sequence[str]:
        """What a process has said so far."""
        log = self._log(name)
        return log.read_text(errors="replace").splitlines() if log.exists() else []

    def words(self, name: str) -> str:
        return "\n".join(self.lines(name))[-_END:]

    def _log(self, name: str) -> Path:
        return self.plane.folder / "logs" / f"{name}.log"


def start_mlflow(processes: Processes, port: int) -> str:
    """An MLflow server with its database and its artifacts in a folder; returns its address."""
    folder = processes.folder / "mlflow"
    folder.mkdir(parents=True)
    command: list[str | Path] = [PYTHON, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", folder / "artifacts"]
    command += ["--allowed-hosts", ",".join([f"{HOST}:{port}", *_allowed(processes.plane)])]
    processes.start(
        "mlflow",
        command,
        MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        MLFLOW_WEBHOOK_ALLOWED_SCHEMES="http,https",
        MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS="true",
        # A dozen processes for the jobs of GenAI evaluations, which nobody here starts.
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
    )
    address = f"http://{HOST}:{port}"
    processes.answers("mlflow", f"{address}/health")
    return address


def _allowed(plane: ControlPlane) -> Sequence[str]:
    """The hosts that the stack's own MLflow lets through: what the pods call it must be among them."""
    for settings in plane.api.list("v1", "ConfigMap", "mlflow"):
        hosts = (settings.get("data") or {}).get("MLFLOW_SERVER_ALLOWED_HOSTS")
        if hosts:
            return str(hosts).split(",")
    raise UserError("No ConfigMap of the stack's MLflow says which hosts it allows (MLFLOW_SERVER_ALLOWED_HOSTS).")


def environment(proxy: str, mlflow: str, repository: Path, folder: Path) -> dict[str, str]:
    """What the promotion, the rollout and the training are told."""
    return {
        "PYTHONPATH": str(PACKAGE / "src"),
        "MLFLOW_TRACKING_URI": mlflow,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GITOPS_REPOSITORY": str(repository),
        "PROMOTION_INBOX": f"sqlite:///{folder / 'inbox.db'}",
        "TRAINING_DATA_REMOTE": str(folder / "data"),
        "http_proxy": proxy,
        "no_proxy": HOST,
    }
