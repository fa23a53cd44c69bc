"""The rehearsal's environment as variables.

Proves which variables are set, removed and reported as lost. That shells evaluate it is proven in test_shell.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rehearsal.engine.environment import RehearsalEnvironment
from rehearsal.toolchain import REHEARSAL_MARK

ENVIRONMENT = RehearsalEnvironment(
    "dev", {"AWS_EC2_METADATA_DISABLED": "true", "KUBECONFIG": "/rehearsal"}, ["/rehearsal/bin"]
)
REAL = (
    "AWS_SECRET_ACCESS_KEY",
    "ARM_CLIENT_SECRET",
    "AZURE_CONFIG_DIR",
    "CLOUDSDK_CONFIG",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "HELM_KUBECONTEXT",
    "IDENTITY_ENDPOINT",
    "KUBE_CONFIG_PATH",
    "MSI_ENDPOINT",
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE",
    "VAULT_TOKEN",
)


@pytest.mark.parametrize("name", REAL)
def test_variables_that_point_to_real_systems_are_removed_and_reported_as_lost(name: str) -> None:
    inherited = {"HOME": "/home/me", name: "real"}
    for result in (ENVIRONMENT.extend(inherited), ENVIRONMENT.correct(inherited)):
        assert name not in result
        assert result.items() >= {**ENVIRONMENT.variables, "HOME": "/home/me"}.items()
    assert ENVIRONMENT.find_lost({**ENVIRONMENT.variables, name: "real"}) == [name]


def test_the_rehearsals_own_environment_has_lost_nothing() -> None:
    assert ENVIRONMENT.find_lost(ENVIRONMENT.extend({"KUBECONFIG": "/real", "PATH": "/bin"})) == []
    assert ENVIRONMENT.find_lost({}) == ["AWS_EC2_METADATA_DISABLED", "KUBECONFIG"]


def test_options_of_the_engine_are_accepted_only_from_the_shell() -> None:
    assert "PULUMI_STACK" not in ENVIRONMENT.extend({"PULUMI_STACK": "other"})
    assert ENVIRONMENT.correct({"PULUMI_STACK": "other"})["PULUMI_STACK"] == "other"


def test_the_rehearsals_programs_are_first_on_path_and_other_rehearsals_are_removed(tmp_path: Path) -> None:
    (tmp_path / REHEARSAL_MARK).touch()
    path = os.pathsep.join([str(tmp_path), "/rehearsal/bin", "/usr/bin"])
    assert ENVIRONMENT.extend({"PATH": path})["PATH"] == os.pathsep.join(["/rehearsal/bin", "/usr/bin"])


def test_an_environment_is_read_as_it_was_written(tmp_path: Path) -> None:
    ENVIRONMENT.write(tmp_path / "environment.json")
    assert RehearsalEnvironment.read(tmp_path / "environment.json") == ENVIRONMENT
