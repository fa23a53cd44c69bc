"""A real Kubernetes control plane on this machine: etcd, API server, controllers and scheduler, with kwok for nodes.

All processes listen only on free ports of 127.0.0.1, with certificates issued at each start. The cluster's data stays
in the rehearsal's folder between runs.
"""

from __future__ import annotations

import base64
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from rehearsal.console import UserError
from rehearsal.kubernetes.client import ApiClient, ApiError, ApiUnreachableError, ClientConfig
from rehearsal.kubernetes.control_plane import programs
from rehearsal.kubernetes.control_plane.certificates import Certificate, CertificateAuthority
from rehearsal.kubernetes.control_plane.process_supervisor import ProcessSupervisor, run_supervisor
from rehearsal.polling import WaitTimeoutError, wait_until

HOST = "127.0.0.1"
SERVICE_RANGE = "10.96.0.0/16"  # no address of it is ever routed

STARTUP_TIMEOUT = 60  # seconds; it takes about three
_POLL_INTERVAL = 0.05  # seconds

# The API server refuses to advertise a loopback address. Nothing connects to this one, of TEST-NET-1:
# https://datatracker.ietf.org/doc/html/rfc5737
_ADVERTISED = "192.0.2.1"
_NODES = "kwok.x-k8s.io/node=fake"
_STAGES = Path(__file__).with_name("kwok_stages.yaml")


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane.

    folder      its data, certificates and logs
    kubeconfig  for a cluster administrator; its credentials are files
    version     as the API server reports it: `v1.33.13`
    """

    folder: Path
    kubeconfig: Path
    api: ApiClient
    version: str
    certificate_authority: CertificateAuthority
    supervisor: ProcessSupervisor

    def problems(self) -> list[str]:
        """One message for each of the control plane's processes that has ended, with the path of its log."""
        return [
            f"{name} ended unexpectedly ({_format_exit(code)}); its log is {_log_path(self.folder, name)}"
            for name, code in self.supervisor.exit_codes().items()
            if name in _PROCESSES
        ]


_PROCESSES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")


@contextmanager
def run_control_plane(folder: Path, egress_socket: Path) -> Iterator[ControlPlane]:
    """Run a control plane while the context lasts. Its data stays in `folder`.

    The API server reaches services in the cluster through the proxy that listens on the Unix socket `egress_socket`.
    Raises UserError if the control plane does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "logs", ignore_errors=True)
    (folder / "logs").mkdir()
    authority = CertificateAuthority(folder / "pki")
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    with run_supervisor() as supervisor:
        launcher = _Launcher(folder, authority, supervisor, ports)
        launcher.start_etcd()
        launcher.start_api_server(egress_socket)
        admin = launcher.write_kubeconfig("admin", group="system:masters")
        api = ApiClient(ClientConfig.from_kubeconfig(admin.read_text()))
        version = _wait_until_ready(api, supervisor, folder)
        launcher.start_controllers()
        yield ControlPlane(folder, admin, api, version, authority, supervisor)


_PORTS = ("etcd", "peers", "api")


@dataclass(frozen=True)
class _Launcher:
    """Starts the processes of one control plane, each with its options and certificates."""

    folder: Path
    authority: CertificateAuthority
    supervisor: ProcessSupervisor
    ports: Mapping[str, int]

    @property
    def server(self) -> str:
        return f"https://{HOST}:{self.ports['api']}"

    def start_etcd(self) -> None:
        pair = self.authority.issue_certificate("etcd", hosts=[HOST])
        clients, peers = (f"https://{HOST}:{self.ports[name]}" for name in ("etcd", "peers"))
        options = {
            "name": "rehearsal",
            "data-dir": self.folder / "etcd",
            "listen-client-urls": clients,
            "advertise-client-urls": clients,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"rehearsal={peers}",
            "client-cert-auth": "true",
            "peer-client-cert-auth": "true",
            "unsafe-no-fsync": "true",  # a power cut can only lose a rehearsal's data
            "log-level": "warn",
        }
        for prefix in ("", "peer-"):
            options |= {f"{prefix}{key}-file": value for key, value in _tls_files(pair).items()}
            options[f"{prefix}trusted-ca-file"] = self.authority.ca_file
        self._start("etcd", options, graceful=True)

    def start_api_server(self, egress_socket: Path) -> None:
        pair = self.authority.issue_certificate("kube-apiserver", hosts=[HOST, "localhost"])
        front = self.authority.issue_certificate("front-proxy")
        signing = self.authority.create_signing_key("service-accounts")
        self._start(
            "kube-apiserver",
            {
                "etcd-servers": f"https://{HOST}:{self.ports['etcd']}",
                "etcd-cafile": self.authority.ca_file,
                "etcd-certfile": pair.cert_file,
                "etcd-keyfile": pair.key_file,
                "bind-address": HOST,
                "secure-port": self.ports["api"],
                "advertise-address": _ADVERTISED,
                "endpoint-reconciler-type": "none",
                "tls-cert-file": pair.cert_file,
                "tls-private-key-file": pair.key_file,
                "client-ca-file": self.authority.ca_file,
                "authorization-mode": "Node,RBAC",
                "anonymous-auth": "false",
                "service-account-issuer": "https://kubernetes.default.svc",
                "service-account-key-file": signing,
                "service-account-signing-key-file": signing,
                "service-cluster-ip-range": SERVICE_RANGE,
                "encryption-provider-config": self._write_encryption_config(),
                "allow-privileged": "true",
                # In addition to the default ones; AKS and EKS have it too.
                # Source: https://learn.microsoft.com/azure/aks/faq and
                # https://docs.aws.amazon.com/eks/latest/userguide/platform-versions.html
                "enable-admission-plugins": "ExtendedResourceToleration",
                "egress-selector-config-file": self._write_egress_selector(egress_socket),
                # With these the API server authenticates to aggregated APIs.
                "requestheader-client-ca-file": self.authority.ca_file,
                "requestheader-allowed-names": "front-proxy",
                "requestheader-username-headers": "X-Remote-User",
                "requestheader-group-headers": "X-Remote-Group",
                "requestheader-extra-headers-prefix": "X-Remote-Extra-",
                "proxy-client-cert-file": front.cert_file,
                "proxy-client-key-file": front.key_file,
                "profiling": "false",
            },
            # A webhook without a caBundle is verified with the system's roots. With these, its first calls succeed
            # before the API server has seen the bundle that the CA injector wrote.
            environment={"SSL_CERT_FILE": str(self.authority.ca_file)},
        )

    def start_controllers(self) -> None:
        common = {"leader-elect": "false", "secure-port": "0", "profiling": "false"}
        rate_limits = {"kube-api-qps": "500", "kube-api-burst": "1000"}
        self._start(
            "kube-controller-manager",
            {
                "kubeconfig": self.write_kubeconfig("system:kube-controller-manager", group="system:masters"),
                "service-account-private-key-file": self.folder / "pki" / "service-accounts.key",
                "root-ca-file": self.authority.ca_file,
                "horizontal-pod-autoscaler-sync-period": "5s",
                "pvclaimbinder-sync-period": "1s",
                **common,
                **rate_limits,
            },
        )
        self._start(
            "kube-scheduler", {"kubeconfig": self.write_kubeconfig("system:kube-scheduler"), **common, **rate_limits}
        )
        self._start(
            "kwok",
            {
                "kubeconfig": self.write_kubeconfig("kwok", group="system:masters"),
                "config": _STAGES,
                "manage-nodes-with-annotation-selector": _NODES,
                "node-lease-duration-seconds": "40",
                "node-port": "0",
            },
        )

    def write_kubeconfig(self, name: str, *, group: str = "") -> Path:
        """Write the kubeconfig of a user, who authenticates to the API server with a certificate."""
        path = self.folder / f"{name.replace(':', '-')}.kubeconfig"
        return self.authority.write_kubeconfig(path, self.server, self.authority.issue_certificate(name, group=group))

    def _write_egress_selector(self, egress_socket: Path) -> Path:
        """Configure the API server to reach services through the egress proxy: simulated pods have no network."""
        path = self.folder / "egress.yaml"
        connection = {"proxyProtocol": "HTTPConnect", "transport": {"uds": {"udsName": str(egress_socket)}}}
        selection = [{"name": "cluster", "connection": connection}]
        kind = {"apiVersion": "apiserver.k8s.io/v1beta1", "kind": "EgressSelectorConfiguration"}
        path.write_text(yaml.safe_dump({**kind, "egressSelections": selection}))
        return path

    def _write_encryption_config(self) -> Path:
        """Configure encryption of Secrets at rest, as in the clouds. The key is stored beside the data it decrypts."""
        path = self.folder / "encryption.yaml"
        if not path.exists():
            key = {"name": "rehearsal", "secret": base64.b64encode(secrets.token_bytes(32)).decode()}
            kind = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration"}
            providers = [{"secretbox": {"keys": [key]}}]
            path.touch(mode=0o600)
            path.write_text(yaml.safe_dump({**kind, "resources": [{"resources": ["secrets"], "providers": providers}]}))
        return path

    def _start(
        self,
        name: str,
        options: Mapping[str, object],
        environment: Mapping[str, str] | None = None,
        *,
        graceful: bool = False,
    ) -> None:
        command = [str(programs.paths()[name]), *(f"--{option}={value}" for option, value in options.items())]
        self.supervisor.start(name, command, _log_path(self.folder, name), environment, graceful=graceful)


def _tls_files(pair: Certificate) -> Mapping[str, Path]:
    return {"cert": pair.cert_file, "key": pair.key_file}


def free_ports(count: int) -> list[int]:
    """Distinct TCP ports that are free now: each stays bound until all are found."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _wait_until_ready(api: ApiClient, supervisor: ProcessSupervisor, folder: Path) -> str:
    """Wait until the API server is ready; returns its version.

    Raises UserError if a process ends, or the API server is not ready in time.
    """

    def check() -> str:
        for name, code in supervisor.exit_codes().items():
            raise UserError(
                f"The rehearsal's {name} did not start ({_format_exit(code)}): {_last_log_line(folder, name)}"
            )
        api.request("GET", "/readyz")
        return str(api.request("GET", "/version")["gitVersion"])

    try:
        return wait_until(
            check, timeout=STARTUP_TIMEOUT, interval=_POLL_INTERVAL, retry_on=(ApiError, ApiUnreachableError)
        )
    except WaitTimeoutError:
        last_line = _last_log_line(folder, "kube-apiserver")
        raise UserError(f"The rehearsal's API server was not ready after {STARTUP_TIMEOUT} s: {last_line}") from None


def _log_path(folder: Path, name: str) -> Path:
    return folder / "logs" / f"{name}.log"


def _format_exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _last_log_line(folder: Path, name: str) -> str:
    path = _log_path(folder, name)
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return f"{lines[-1][:400] if lines else 'it is empty'} (its log is {path})"
