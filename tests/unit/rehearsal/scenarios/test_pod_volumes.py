"""The folders that replace a pod's volumes: their files, and the folder of each volume.

The API server is a stub. A real one is used in tests/cluster/test_processes_of_pods.py.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.scenarios.pod_volumes import MissingObjectError, create_volumes, find_mounts, refresh_config_maps


class Api:
    """A stub of the API server with some objects, keyed by kind and name."""

    def __init__(self, **objects: Mapping[str, str]) -> None:
        self.objects = objects

    def get(self, _: str, kind: str, name: str, __: str) -> Object | None:
        data = self.objects.get(f"{kind}_{name}")
        if data is None:
            return None
        if kind == "Secret":
            data = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        return {"data": data}


def create(api: Api, folder: Path, *volumes: Mapping[str, Any]) -> Mapping[str, Path]:
    return create_volumes(cast("ApiClient", api), describe(*volumes), folder / "pods" / "uid")


def describe(*volumes: Mapping[str, Any]) -> Object:
    return {"metadata": {"namespace": "serving"}, "spec": {"volumes": volumes}}


def list_files(folder: Path) -> Mapping[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ({"secret": {"secretName": "one"}}, {"a": "1", "b": "2"}),
        ({"secret": {"secretName": "one", "items": [{"key": "a", "path": "under/token"}]}}, {"under/token": "1"}),
        ({"configMap": {"name": "two"}}, {"c": "3"}),
        (
            {"projected": {"sources": [{"secret": {"name": "one"}}, {"configMap": {"name": "two"}}]}},
            {"a": "1", "b": "2", "c": "3"},
        ),
        ({"configMap": {"name": "none", "optional": True}}, {}),
        ({"emptyDir": {}}, {}),
    ],
)
def test_a_volume_has_the_files_of_its_source(tmp_path: Path, source: Mapping[str, Any], files: object) -> None:
    api = Api(Secret_one={"a": "1", "b": "2"}, ConfigMap_two={"c": "3"})
    assert list_files(create(api, tmp_path, {"name": "v", **source})["v"]) == files


def test_a_missing_object_is_waited_for_unless_it_is_optional(tmp_path: Path) -> None:
    with pytest.raises(MissingObjectError, match='configmap "none" not found'):
        create(Api(), tmp_path, {"name": "v", "configMap": {"name": "none"}})


def test_changes_of_a_config_map_arrive_but_not_those_of_a_secret(tmp_path: Path) -> None:
    sources = [
        {"name": "settings", "configMap": {"name": "two", "optional": True}},
        {"name": "token", "secret": {"secretName": "one"}},
    ]
    api = Api(Secret_one={"a": "1"})
    volumes = create(api, tmp_path, *sources)
    api.objects = {"Secret_one": {"a": "2"}, "ConfigMap_two": {"c": "3"}}
    refresh_config_maps(cast("ApiClient", api), describe(*sources), volumes)
    assert list_files(volumes["settings"]) == {"c": "3"}
    assert list_files(volumes["token"]) == {"a": "1"}


def test_a_claims_folder_is_not_the_pods(tmp_path: Path) -> None:
    claim = {"name": "spool", "persistentVolumeClaim": {"claimName": "spool-router-0"}}
    volumes = create(Api(), tmp_path, claim, {"name": "tmp", "emptyDir": {}})
    (volumes["spool"] / "records").write_text("x")
    again = create_volumes(cast("ApiClient", Api()), describe(claim), tmp_path / "pods" / "another")
    assert list_files(again["spool"]) == {"records": "x"}
    assert volumes["tmp"].parent.name == "uid"


def test_a_container_has_the_volumes_that_it_mounts(tmp_path: Path) -> None:
    container = {"volumeMounts": [{"name": "a", "mountPath": "/data"}]}
    assert find_mounts(container, {"a": tmp_path, "b": tmp_path / "b"}) == {"/data": tmp_path}
