"""Bare git repositories on this machine are served under https URLs.

Proves with git itself which URLs are served, and that pushes are rejected. test_argocd.py proves that Argo CD can read
the repositories.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rehearsal.kubernetes.control_plane.certificates import CertificateAuthority
from rehearsal.kubernetes.controllers.git_server import GitServer
from tests.support.argocd_applications import Repository, render_config_map, run_git

_URL = "https://git.example.com/groundwork/models.git"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.create(tmp_path)


@pytest.fixture
def environment(repository: Repository, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The environment in which git finds the repository under its URL."""
    authority = CertificateAuthority(tmp_path / "pki")
    git_server = GitServer(authority)
    with git_server.run():
        git_server.add_repository(_URL, repository.folder)
        yield {"https_proxy": git_server.proxy_url, "no_proxy": "", "GIT_SSL_CAINFO": str(authority.ca_file)}


def test_a_repository_is_served_under_its_url(
    repository: Repository, environment: Mapping[str, str], tmp_path: Path
) -> None:
    commit = repository.commit({"colour.yaml": render_config_map("colour", "red")})

    run_git(tmp_path, "clone", "--quiet", _URL, "read", **environment)

    assert run_git(tmp_path / "read", "rev-parse", "HEAD") == commit


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://git.example.com/groundwork/models", "not found"),
        ("https://git.example.com/groundwork/models.github", "not found"),
        ("https://elsewhere.example.com/groundwork/models.git", "response 502"),
    ],
)
def test_nothing_else_is_served(url: str, reason: str, environment: Mapping[str, str], tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        run_git(tmp_path, "ls-remote", url, **environment)

    assert reason in failure.value.stderr


def test_pushes_are_rejected(repository: Repository, environment: Mapping[str, str]) -> None:
    repository.commit({"colour.yaml": render_config_map("colour", "red")})

    with pytest.raises(subprocess.CalledProcessError) as failure:
        run_git(repository.clone, "push", _URL, "HEAD:another", **environment)

    assert "403" in failure.value.stderr
