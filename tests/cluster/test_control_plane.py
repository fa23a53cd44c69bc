"""The control plane: real etcd, API server, controllers and scheduler, started and stopped as in a rehearsal.

Pods are simulated: kwok reports scheduled pods as running. The clouds' additions to a cluster are not tested here.
"""

from __future__ import annotations

import base64
import os
import resource
import shutil
import signal
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rehearsal.console import UserError
from rehearsal.kubernetes.client import ApiClient, ApiError, ApiUnreachableError, ClientConfig
from rehearsal.kubernetes.control_plane.certificates import CertificateAuthority
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane, free_ports, run_control_plane
from tests.support.processes import list_processes
from tests.support.waiting import eventually

_ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


def _config_map(name: str, namespace: str = "default") -> Mapping[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"key": "value"},
    }


def _workload(kind: str, name: str, namespace: str, **annotations: str) -> Mapping[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": "registry.example/app:1"}]}
    labels = {"app": name}
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}
    if kind == "Job":
        spec["restartPolicy"] = "Never"
        return _manifest("batch/v1", kind, name, namespace, {"backoffLimit": 0, "template": template})
    return _manifest("apps/v1", kind, name, namespace, {"selector": {"matchLabels": labels}, "template": template})


def _manifest(api_version: str, kind: str, name: str, namespace: str, spec: Any) -> Mapping[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _processes(folder: Path) -> dict[int, str]:
    """The IDs of processes whose command line names the folder, with their programs."""
    return {
        process: Path(command[0]).name
        for process, command in list_processes()
        if any(f"={folder}/" in argument for argument in command)
    }


def _listening(process: int) -> list[str]:
    """The addresses on which a process listens, in the kernel's hexadecimal form."""
    sockets = {os.readlink(path) for path in Path(f"/proc/{process}/fd").iterdir()}
    rows = [
        line.split()
        for file in ("tcp", "tcp6")
        for line in Path(f"/proc/{process}/net/{file}").read_text().splitlines()
    ]
    return [row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]


def test_a_deployment_gets_running_pods(plane: ControlPlane, namespace: str) -> None:
    plane.api.apply(_workload("Deployment", "web", namespace), "test")
    eventually(
        lambda: (plane.api.get("apps/v1", "Deployment", "web", namespace) or {}).get("status", {}).get("readyReplicas")
    )


@pytest.mark.parametrize(("code", "condition"), [("0", "Complete"), ("3", "Failed")])
def test_a_job_ends_with_the_exit_code_in_its_annotation(
    plane: ControlPlane, namespace: str, code: str, condition: str
) -> None:
    job = _workload("Job", "once", namespace, **{"rehearsal.groundwork/exit-code": code})
    plane.api.apply(job, "test")

    def ended() -> bool:
        status = (plane.api.get("batch/v1", "Job", "once", namespace) or {}).get("status", {})
        return condition in {found["type"] for found in status.get("conditions", ())}

    eventually(ended)


def test_an_unknown_field_is_an_error_of_the_api_server(plane: ControlPlane, namespace: str) -> None:
    wrong = {**_config_map("wrong", namespace), "date": {}}
    with pytest.raises(ApiError, match=r'unknown field "date"|field not declared in schema'):
        plane.api.apply(wrong, "test")


def test_a_certificate_of_another_authority_is_refused(plane: ControlPlane, tmp_path: Path) -> None:
    foreign = CertificateAuthority(tmp_path).issue_certificate("admin", group="system:masters")
    config = plane.api.config
    api = ApiClient(ClientConfig(config.server, config.ca_file, str(foreign.cert_file), str(foreign.key_file)))
    with pytest.raises((ApiError, ApiUnreachableError)) as refused:
        api.request("GET", "/api/v1/secrets")
    assert getattr(refused.value, "status", 401) == 401


@_ON_LINUX
def test_all_processes_listen_on_loopback_only(plane: ControlPlane) -> None:
    addresses = [address for process in _processes(plane.folder) for address in _listening(process)]
    assert len(addresses) >= 3  # the API server, and etcd for clients and peers
    assert set(addresses) == {"0100007F"}  # 127.0.0.1


def test_private_keys_are_readable_by_this_user_only(plane: ControlPlane) -> None:
    keys = list(plane.folder.rglob("*.key"))
    assert keys
    assert all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in keys)


def test_secrets_are_encrypted_at_rest(plane: ControlPlane, namespace: str) -> None:
    metadata = {"name": "hidden", "namespace": namespace}
    data = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key": "not-to-be-found"}}
    plane.api.apply(data, "test")
    found = plane.api.get("v1", "Secret", "hidden", namespace)
    assert found is not None
    assert base64.b64decode(found["data"]["key"]) == b"not-to-be-found"
    files = [path.read_bytes() for path in plane.folder.rglob("*") if path.is_file()]
    assert any(b"/configmaps/" in content for content in files)  # which shows that these files contain the data
    assert not any(b"not-to-be-found" in content for content in files)


@_ON_LINUX
def test_data_outlives_a_stop_and_two_control_planes_run_side_by_side(plane: ControlPlane, tmp_path: Path) -> None:
    socket = tmp_path / "egress.sock"
    with run_control_plane(tmp_path / "other", socket) as other:
        assert other.api.config.server != plane.api.config.server
        other.api.apply(_config_map("kept"), "test")
        assert plane.api.get("v1", "ConfigMap", "kept", "default") is None
    assert not _processes(tmp_path / "other")
    with run_control_plane(tmp_path / "other", socket) as again:
        assert again.api.get("v1", "ConfigMap", "kept", "default")
        assert again.problems() == []


@_ON_LINUX
def test_a_killed_api_server_is_a_problem_that_names_its_log(plane: ControlPlane, tmp_path: Path) -> None:
    del plane  # only requested because it skips the test if the programs are missing
    with run_control_plane(tmp_path / "dying", tmp_path / "egress.sock") as dying:
        programs = {program: process for process, program in _processes(tmp_path / "dying").items()}
        server = programs["kube-apiserver"]
        os.kill(server, signal.SIGKILL)
        (problem,) = eventually(dying.problems)
        assert "kube-apiserver ended unexpectedly (signal 9)" in problem
        with pytest.raises(ApiUnreachableError, match="does not answer"):
            dying.api.request("GET", "/readyz")
    assert not _processes(tmp_path / "dying")


@_ON_LINUX
def test_a_full_disk_is_a_problem_and_the_next_run_recovers(plane: ControlPlane, tmp_path: Path) -> None:
    """A limit on the size of etcd's files simulates the full disk: both make its next write fail."""
    del plane
    folder = tmp_path / "full"
    with run_control_plane(folder, tmp_path / "egress.sock") as full:
        full.api.apply(_config_map("before"), "test")
        (etcd,) = (process for process, program in _processes(folder).items() if program == "etcd")
        resource.prlimit(etcd, resource.RLIMIT_FSIZE, (1, 1))
        with pytest.raises((ApiError, ApiUnreachableError)):
            _apply_until_refused(full.api, _config_map("during"))
        (problem, *_) = eventually(full.problems)
        assert "etcd ended unexpectedly" in problem
    with run_control_plane(folder, tmp_path / "egress.sock") as restarted:
        assert restarted.api.get("v1", "ConfigMap", "before", "default")


def test_a_port_that_is_no_longer_free_has_one_message(
    plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = int(plane.api.config.server.rpartition(":")[2])
    free = free_ports(2)
    monkeypatch.setattr("rehearsal.kubernetes.control_plane.control_plane.free_ports", lambda _: [*free, used])
    with (
        pytest.raises(UserError, match=r"kube-apiserver did not start .*address already in use"),
        run_control_plane(tmp_path / "late", tmp_path / "egress.sock"),
    ):
        pass


def test_damaged_data_is_one_clear_message(plane: ControlPlane, tmp_path: Path) -> None:
    del plane
    folder = tmp_path / "damaged"
    (folder / "etcd").mkdir(parents=True)
    (folder / "etcd" / "member").write_text("no folder")
    with (
        pytest.raises(UserError, match=r"etcd did not start .*member"),
        run_control_plane(folder, tmp_path / "egress.sock"),
    ):
        pass
    shutil.rmtree(folder)
    with run_control_plane(folder, tmp_path / "egress.sock") as restarted:
        assert restarted.version.startswith("v1.")


def _apply_until_refused(api: ApiClient, manifest: Mapping[str, Any]) -> None:
    while True:
        api.apply(manifest, "test")
