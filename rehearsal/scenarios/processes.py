"""The processes of the model lifecycle that run in no pod of the stack: MLflow, training and users.

The control plane's supervisor owns them, so that none outlives the rehearsal.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from rehearsal import project
from rehearsal.console import UserError
from rehearsal.kubernetes.control_plane.control_plane import HOST, ControlPlane
from rehearsal.polling import WaitTimeoutError, wait_until
from rehearsal.scenarios.waiting import TIMEOUT

_REQUEST_TIMEOUT = 2  # seconds
_LOG_TAIL = 500  # characters of a log that an error shows


def package() -> Path:
    """The lifecycle's Python package."""
    return project.current().require("lifecycle")


def python() -> Path:
    """The interpreter of the lifecycle's own environment."""
    return package() / ".venv" / "bin" / "python"


@dataclass(frozen=True)
class LifecycleProcesses:
    """Starts processes and waits for them. All get the same `environment`."""

    plane: ControlPlane
    folder: Path
    environment: Mapping[str, str]

    def start(self, name: str, command: Sequence[str | Path], **environment: str) -> None:
        arguments = [str(argument) for argument in command]
        environment = {**self.environment, **environment}
        self.plane.supervisor.start(name, arguments, self._log_file(name), environment, graceful=True)

    def start_module(self, name: str, module: str, *arguments: str, **environment: str) -> None:
        """Start one of the lifecycle package's modules."""
        self.start(name, [python(), "-m", module, *arguments], **environment)

    def wait_until_ready(self, name: str, url: str) -> None:
        """Wait until a process answers a URL with success. Raises UserError if it does not, or exits."""

        def is_ready_or_exited() -> bool:
            return self.plane.supervisor.exit_code(name) is not None or requests.get(url, timeout=_REQUEST_TIMEOUT).ok

        try:
            wait_until(is_ready_or_exited, timeout=TIMEOUT, retry_on=requests.RequestException)
        except WaitTimeoutError:
            raise UserError(self._failure(name, f"has not answered after {TIMEOUT:g} s")) from None
        if self.plane.supervisor.exit_code(name) is not None:
            raise UserError(self._failure(name, "exited"))

    def wait_until_finished(self, name: str, timeout: float) -> None:
        """Wait until a process exits. Raises UserError if it fails, or runs longer than `timeout` seconds."""
        try:
            wait_until(lambda: self.plane.supervisor.exit_code(name) is not None, timeout=timeout)
        except WaitTimeoutError:
            raise UserError(self._failure(name, f"has not finished after {timeout:g} s")) from None
        code = self.plane.supervisor.exit_code(name)
        if code != 0:
            raise UserError(self._failure(name, f"failed with exit code {code}"))

    def output_lines(self, name: str) -> Sequence[str]:
        """The output of a process so far."""
        log = self._log_file(name)
        return log.read_text(errors="replace").splitlines() if log.exists() else []

    def _failure(self, name: str, what: str) -> str:
        tail = "\n".join(self.output_lines(name))[-_LOG_TAIL:]
        return f"{name} {what}. The end of its log {self._log_file(name)}:\n{tail}"

    def _log_file(self, name: str) -> Path:
        return self.plane.folder / "logs" / f"{name}.log"


def start_mlflow(processes: LifecycleProcesses, port: int) -> str:
    """Start an MLflow server with its database and artifacts in a folder; returns its URL."""
    folder = processes.folder / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [python(), "-m", "mlflow", "server", "--host", HOST, "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", folder / "artifacts"]
    command += ["--allowed-hosts", ",".join([f"{HOST}:{port}", *_read_allowed_hosts(processes.plane)])]
    processes.start(
        "mlflow",
        command,
        MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        MLFLOW_WEBHOOK_ALLOWED_SCHEMES="http,https",
        MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS="true",
        # Saves a dozen processes for GenAI evaluation jobs, which are not used here.
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
    )
    url = f"http://{HOST}:{port}"
    processes.wait_until_ready("mlflow", f"{url}/health")
    return url


def _read_allowed_hosts(plane: ControlPlane) -> Sequence[str]:
    """The hosts that the stack's own MLflow allows: the name by which pods call it must be among them."""
    for config_map in plane.api.list("v1", "ConfigMap", "mlflow"):
        hosts = (config_map.get("data") or {}).get("MLFLOW_SERVER_ALLOWED_HOSTS")
        if hosts:
            return str(hosts).split(",")
    raise UserError("No ConfigMap in namespace mlflow sets MLFLOW_SERVER_ALLOWED_HOSTS, the hosts that MLflow allows.")


def build_environment(proxy: str, mlflow: str, folder: Path) -> dict[str, str]:
    """The environment of training, users and MLflow."""
    return {
        "PYTHONPATH": str(package() / "src"),
        "MLFLOW_TRACKING_URI": mlflow,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "TRAINING_DATA_REMOTE": str(folder / "data"),
        "http_proxy": proxy,
        "no_proxy": HOST,
    }
