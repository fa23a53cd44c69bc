"""The endpoint of a process that serves nothing else: its responses to a kubelet and to Prometheus."""

from __future__ import annotations

import httpx
import pytest
from pydantic import ValidationError

from lifecycle.core import EndpointSettings
from lifecycle.core.endpoint import Heartbeat, serve_endpoint
from support.network import free_port


def test_it_is_healthy_while_the_main_loop_runs() -> None:
    now = 0.0
    heartbeat = Heartbeat(lambda: now)
    settings = EndpointSettings(port=free_port())
    url = f"http://127.0.0.1:{settings.port}"
    with serve_endpoint(settings, heartbeat):
        now = 299.0
        assert httpx.get(f"{url}/health").status_code == 200
        now = 301.0
        assert httpx.get(f"{url}/health").status_code == 503
        heartbeat.beat()
        assert httpx.get(f"{url}/health").status_code == 200
        assert "process_cpu_seconds_total" in httpx.get(f"{url}/metrics").text
        assert httpx.get(f"{url}/").status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def test_without_a_port_nothing_is_served() -> None:
    with serve_endpoint(EndpointSettings(port=None), Heartbeat()):
        pass


def test_an_invalid_port_is_rejected() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 65535"):
        EndpointSettings(port=80800)
