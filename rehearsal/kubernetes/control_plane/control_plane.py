"""A real Kubernetes control plane on this machine: etcd, API server, controllers, scheduler; and kwok for its nodes.

Everything listens on 127.0.0.1 only, on free ports, and proves itself with certificates made for this run. What the
cluster holds stays in the rehearsal's folder between runs.
"""

from __future__ import annotations

import base64
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from rehearsal.console import UserError
from rehearsal.kubernetes.client import Access, Api, ApiError, Unreachable
from rehearsal.kubernetes.control_plane import programs
from rehearsal.kubernetes.control_plane.certificates import Authority, Certificate
from rehearsal.kubernetes.control_plane.process_supervisor import Guard

HOST = "127.0.0.1"
SERVICE_RANGE = "10.96.0.0/16"  # nothing outside of the rehearsal's API server ever sees an address of it

PATIENCE = 60  # seconds for the whole control plane to answer; it takes about three

# What the API server calls itself to others. It has to be no loopback address, and nobody connects to it: TEST-NET-1,
# https://datatracker.ietf.org/doc/html/rfc5737
_ADVERTISED = "192.0.2.1"
_NODES = "kwok.x-k8s.io/node=fake"
_STAGES = Path(__file__).with_name("kwok_stages.yaml")


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane.

    folder      its data, certificates and logs
    kubeconfig  of a cluster administrator; its credentials are files
    version     as the API server tells it: `v1.33.13`
    """

    folder: Path
    kubeconfig: Path
    api: Api
    version: str
    authority: Authority
    guard: Guard

    def faults(self) -> list[str]:
        """The processes that ended while they should run, and where to read why."""
        return [
            f"{name} ended in mid-run ({_ending(code)}); its log is {_log(self.folder, name)}"
            for name, code in self.guard.ended().items()
            if name in _PROCESSES
        ]


_PROCESSES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")


@contextmanager
def running(folder: Path, egress: Path) -> Iterator[ControlPlane]:
    """A control plane for as long as the context lasts, its data in `folder`.

    What the API server asks of services in the cluster goes to the proxy that listens on the socket `egress`. Raises
    UserError when it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "logs", ignore_errors=True)
    (folder / "logs").mkdir()
    authority = Authority(folder / "pki")
    with ExitStack() as stack:
        guard = stack.enter_context(Guard.running())
        start = _Start(folder, authority, guard, dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True)))
        start.etcd()
        start.api_server(egress)
        admin = start.user("admin", ["system:masters"])
        api = Api(Access.of(admin.read_text()))
        version = _wait_for(api, guard, folder)
        start.controllers()
        yield ControlPlane(folder, admin, api, version, authority, guard)


_PORTS = ("etcd", "peers", "api")


@dataclass(frozen=True)
class _Start:
    """How each process is started."""

    folder: Path
    authority: Authority
    guard: Guard
    ports: Mapping[str, int]

    @property
    def server(self) -> str:
        return f"https://{HOST}:{self.ports['api']}"

    def etcd(self) -> None:
        proof = self.authority.certificate("etcd", hosts=[HOST])
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
            "unsafe-no-fsync": "true",  # what a power cut would lose is only a rehearsal
            "log-level": "warn",
        }
        for prefix in ("", "peer-"):
            options |= {f"{prefix}{key}-file": value for key, value in _files(proof).items()}
            options[f"{prefix}trusted-ca-file"] = self.authority.file
        self._start("etcd", options, gently=True)

    def api_server(self, egress: Path) -> None:
        proof = self.authority.certificate("kube-apiserver", hosts=[HOST, "localhost"])
        front = self.authority.certificate("front-proxy")
        signing = self.authority.signing_key("service-accounts")
        self._start(
            "kube-apiserver",
            {
                "etcd-servers": f"https://{HOST}:{self.ports['etcd']}",
                "etcd-cafile": self.authority.file,
                "etcd-certfile": proof.certificate,
                "etcd-keyfile": proof.key,
                "bind-address": HOST,
                "secure-port": self.ports["api"],
                "advertise-address": _ADVERTISED,
                "endpoint-reconciler-type": "none",
                "tls-cert-file": proof.certificate,
                "tls-private-key-file": proof.key,
                "client-ca-file": self.authority.file,
                "authorization-mode": "Node,RBAC",
                "anonymous-auth": "false",
                "service-account-issuer": "https://kubernetes.default.svc",
                "service-account-key-file": signing,
                "service-account-signing-key-file": signing,
                "service-cluster-ip-range": SERVICE_RANGE,
                "encryption-provider-config": self._encryption(),
                "allow-privileged": "true",
                "egress-selector-config-file": self._selector(egress),
                # With these the API server proves itself to the APIs that it passes requests on to.
                "requestheader-client-ca-file": self.authority.file,
                "requestheader-allowed-names": "front-proxy",
                "requestheader-username-headers": "X-Remote-User",
                "requestheader-group-headers": "X-Remote-Group",
                "requestheader-extra-headers-prefix": "X-Remote-Extra-",
                "proxy-client-cert-file": front.certificate,
                "proxy-client-key-file": front.key,
                "profiling": "false",
            },
        )

    def controllers(self) -> None:
        calm = {"leader-elect": "false", "secure-port": "0", "profiling": "false"}
        quick = {"kube-api-qps": "500", "kube-api-burst": "1000"}
        self._start(
            "kube-controller-manager",
            {
                "kubeconfig": self.user("system:kube-controller-manager", ["system:masters"]),
                "service-account-private-key-file": self.folder / "pki" / "service-accounts.key",
                "root-ca-file": self.authority.file,
                "horizontal-pod-autoscaler-sync-period": "5s",
                "pvclaimbinder-sync-period": "1s",
                **calm,
                **quick,
            },
        )
        self._start("kube-scheduler", {"kubeconfig": self.user("system:kube-scheduler"), **calm, **quick})
        self._start(
            "kwok",
            {
                "kubeconfig": self.user("kwok", ["system:masters"]),
                "config": _STAGES,
                "manage-nodes-with-annotation-selector": _NODES,
                "node-lease-duration-seconds": "40",
                "node-port": "0",
            },
        )

    def user(self, name: str, groups: Sequence[str] = ()) -> Path:
        """The kubeconfig of a user; the API server knows nobody but by certificate."""
        path = self.folder / f"{name.replace(':', '-')}.kubeconfig"
        return self.authority.kubeconfig(path, self.server, self.authority.certificate(name, groups))

    def _selector(self, egress: Path) -> Path:
        """Says that what goes to services goes through our proxy, for no network leads to simulated pods."""
        path = self.folder / "egress.yaml"
        connection = {"proxyProtocol": "HTTPConnect", "transport": {"uds": {"udsName": str(egress)}}}
        selection = [{"name": "cluster", "connection": connection}]
        kind = {"apiVersion": "apiserver.k8s.io/v1beta1", "kind": "EgressSelectorConfiguration"}
        path.write_text(yaml.safe_dump({**kind, "egressSelections": selection}))
        return path

    def _encryption(self) -> Path:
        """Secrets lie encrypted in etcd, as the clouds' do; the key stays with the data it opens."""
        path = self.folder / "encryption.yaml"
        if not path.exists():
            key = {"name": "rehearsal", "secret": base64.b64encode(secrets.token_bytes(32)).decode()}
            kind = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration"}
            providers = [{"secretbox": {"keys": [key]}}]
            path.touch(mode=0o600)
            path.write_text(yaml.safe_dump({**kind, "resources": [{"resources": ["secrets"], "providers": providers}]}))
        return path

    def _start(self, name: str, options: Mapping[str, object], *, gently: bool = False) -> None:
        command = [str(programs.paths()[name]), *(f"--{option}={value}" for option, value in options.items())]
        self.guard.start(name, command, _log(self.folder, name), gently=gently)


def _files(proof: Certificate) -> Mapping[str, Path]:
    return {"cert": proof.certificate, "key": proof.key}


def free_ports(count: int) -> list[int]:
    """Ports that are free now; all are held until all are found, so that no two are the same."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _wait_for(api: Api, guard: Guard, folder: Path) -> str:
    """The version of the API server, once it is ready.

    Raises UserError when a process ends, or nothing answers in time.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for name, code in guard.ended().items():
            raise UserError(f"The rehearsal's {name} did not start ({_ending(code)}): {_last_words(folder, name)}")
        try:
            api.ask("GET", "/readyz")
            return str(api.ask("GET", "/version")["gitVersion"])
        except (ApiError, Unreachable):
            time.sleep(0.05)
    raise UserError(
        f"The rehearsal's API server was not ready after {PATIENCE} s: {_last_words(folder, 'kube-apiserver')}"
    )


def _log(folder: Path, name: str) -> Path:
    return folder / "logs" / f"{name}.log"


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _last_words(folder: Path, name: str) -> str:
    path = _log(folder, name)
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return f"{lines[-1][:400] if lines else 'it said nothing'} (its log is {path})"
