"""The proxy in front of a real controller, the lookup of a controller by its image, and the folder of its sockets.

Proves which connections are held, answered and refused, and that no rehearsal's folder is too long for a socket. The
controllers themselves are tested in tests/cluster.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.kubernetes.control_plane.certificates import CertificateAuthority
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.controllers import lazy_proxy
from rehearsal.kubernetes.controllers.argocd import REPOSITORY_SERVER
from rehearsal.kubernetes.controllers.controller import LaunchContext
from rehearsal.kubernetes.controllers.kserve import KSERVE
from rehearsal.kubernetes.controllers.lazy_proxy import LazyProxy
from tests.support.waiting import TIMEOUT


@pytest.fixture
def echo() -> Iterator[socket.socket]:
    """A bound socket for an echo server that starts later."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener


def test_an_early_connection_is_answered_once_the_process_runs(echo: socket.socket) -> None:
    requested = threading.Event()

    def port() -> int:
        requested.set()
        return int(echo.getsockname()[1])

    proxy = LazyProxy(port)

    with socket.create_connection(proxy.address, 5) as client:
        client.sendall(b"early")
        assert requested.wait(TIMEOUT)
        threading.Thread(target=_answer_once, args=(echo,), daemon=True).start()

        assert client.recv(100) == b"early"
    proxy.close()


def test_a_connection_is_closed_if_no_process_should_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_proxy, "_CONNECT_TIMEOUT", 0.2)
    proxy = LazyProxy(lambda: None)

    with socket.create_connection(proxy.address, 5) as client:
        assert client.recv(100) == b""
    proxy.close()


def test_a_closed_proxy_refuses_connections(echo: socket.socket) -> None:
    proxy = LazyProxy(lambda: int(echo.getsockname()[1]))
    proxy.close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(proxy.address, 5)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("kserve/kserve-controller:v0.20.0", "0.20.0"),
        ("registry.example.com:5000/mirror/kserve-controller:v0.20.0@sha256:ab", "0.20.0"),
        ("kserve/kserve-controller", ""),
    ],
)
def test_a_controller_is_found_by_its_image(image: str, version: str) -> None:
    containers = [{"name": "beside", "image": "quay.io/brancz/kube-rbac-proxy:v0.18.0"}, {"name": "it", "image": image}]

    found = KSERVE.find_container({"spec": {"template": {"spec": {"containers": containers}}}})

    assert found == containers[1]
    assert KSERVE.image_version(containers[1]) == version


def test_a_deployment_with_another_image_is_not_the_controller() -> None:
    containers = [{"name": "manager", "image": "example.com/another:v0.20.0"}]

    assert KSERVE.find_container({"spec": {"template": {"spec": {"containers": containers}}}}) is None


def _answer_once(listener: socket.socket) -> None:
    listener.listen()
    connection, _ = listener.accept()
    with connection:
        connection.sendall(connection.recv(100))


def test_the_path_of_a_socket_is_short_even_if_that_of_the_rehearsal_is_long(tmp_path: Path) -> None:
    """The folder of a scenario's rehearsal has the scenario's name in its path, after the path of the clone."""
    folder = tmp_path / ("after-growth-failover-and-scaling" * 4)
    folder.mkdir()
    authority = CertificateAuthority(tmp_path / "pki")
    egress = EgressProxy()
    with egress.run():
        context = LaunchContext(
            namespace="argocd",
            user="system:serviceaccount:argocd:argocd-repo-server",
            program=tmp_path / "argo-cd-controllers",
            kubeconfig=tmp_path / "kubeconfig",
            folder=folder,
            socket_folder=egress.socket_folder,
            port=1,
            certificate=authority.issue_certificate("argocd-repo-server", hosts=["argocd-repo-server"]),
            ca_file=authority.ca_file,
            git_proxy="",
            resolve_address=lambda name: name,
        )
        path = REPOSITORY_SERVER.build_options(context).environment["ARGOCD_ASK_PASS_SOCK"]
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
