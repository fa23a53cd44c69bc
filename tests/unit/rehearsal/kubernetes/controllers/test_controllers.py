"""The door in front of a real controller, and how a controller is told by its image.

Proves who is let in, and who waits. The controllers themselves are in tests/cluster.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from rehearsal.kubernetes.controllers import lazy_proxy
from rehearsal.kubernetes.controllers.kserve import KSERVE
from rehearsal.kubernetes.controllers.lazy_proxy import LazyProxy
from tests.support.waiting import TIMEOUT


@pytest.fixture
def echo() -> Iterator[socket.socket]:
    """A socket to listen on, for a process that gives back the first thing it is told."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener


def test_who_comes_before_the_process_is_answered_once_it_is_there(echo: socket.socket) -> None:
    asked = threading.Event()

    def port() -> int:
        asked.set()
        return int(echo.getsockname()[1])

    entrance = LazyProxy(port)

    with socket.create_connection(entrance.address, 5) as caller:
        caller.sendall(b"early")
        assert asked.wait(TIMEOUT)
        threading.Thread(target=_answer_once, args=(echo,), daemon=True).start()

        assert caller.recv(100) == b"early"
    entrance.close()


def test_where_no_process_is_to_be_the_caller_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_proxy, "_CONNECT_TIMEOUT", 0.2)
    entrance = LazyProxy(lambda: None)

    with socket.create_connection(entrance.address, 5) as caller:
        assert caller.recv(100) == b""
    entrance.close()


def test_nobody_is_let_in_by_a_closed_door(echo: socket.socket) -> None:
    entrance = LazyProxy(lambda: int(echo.getsockname()[1]))
    entrance.close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(entrance.address, 5)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("kserve/kserve-controller:v0.20.0", "0.20.0"),
        ("registry.example.com:5000/mirror/kserve-controller:v0.20.0@sha256:ab", "0.20.0"),
        ("kserve/kserve-controller", ""),
    ],
)
def test_a_controller_is_told_by_its_image(image: str, version: str) -> None:
    containers = [{"name": "beside", "image": "quay.io/brancz/kube-rbac-proxy:v0.18.0"}, {"name": "it", "image": image}]

    found = KSERVE.find_container({"spec": {"template": {"spec": {"containers": containers}}}})

    assert found == containers[1]
    assert KSERVE.image_version(containers[1]) == version


def test_a_deployment_of_something_else_under_the_same_name_is_no_controller() -> None:
    containers = [{"name": "manager", "image": "example.com/another:v0.20.0"}]

    assert KSERVE.find_container({"spec": {"template": {"spec": {"containers": containers}}}}) is None


def _answer_once(listener: socket.socket) -> None:
    listener.listen()
    connection, _ = listener.accept()
    with connection:
        connection.sendall(connection.recv(100))
