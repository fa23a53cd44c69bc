"""The recipes of all images, read as text: pinned, in stages, not as root, fit for a read-only root.

Not proven: that they build, which needs a container engine. `make lint` checks them with hadolint.
"""

from __future__ import annotations

import re

import pytest

from lifecycle.contract import load
from support.dockerfile import FOLDER, Dockerfile, read_versions

IMAGES = sorted(path.parent.name for path in FOLDER.glob("images/*/Dockerfile"))


@pytest.fixture(params=IMAGES)
def dockerfile(request: pytest.FixtureRequest) -> Dockerfile:
    return Dockerfile(request.param)


def test_all_images_share_a_base_that_is_pinned_by_digest_with_the_contracts_python() -> None:
    bases = {rest.split()[0] for image in IMAGES for name, rest in Dockerfile(image).steps if name == "FROM"}
    assert len(bases) == 1
    assert re.fullmatch(rf"python:{load().python}-slim-bookworm@sha256:[0-9a-f]{{64}}", bases.pop())


def test_build_tools_stay_in_the_build_stage(dockerfile: Dockerfile) -> None:
    assert sum(name == "FROM" for name, _ in dockerfile.steps) == 2
    path = f"/opt/{dockerfile.image}"
    assert dockerfile.last("COPY") == [f"--from=build {path} {path}"]
    assert not any("pip install" in rest for rest in dockerfile.last("RUN"))


def test_libraries_come_from_locks_with_hashes(dockerfile: Dockerfile) -> None:
    assert dockerfile.installs
    assert all("--require-hashes" in install and "--only-binary=:all:" in install for install in dockerfile.installs)
    assert dockerfile.installs[-1].endswith("-r /build/requirements.txt")


def test_the_image_installs_the_locked_versions(dockerfile: Dockerfile) -> None:
    image = read_versions(dockerfile.folder)
    assert image - read_versions(FOLDER) == set()
    assert set(load().libraries.items()) <= image, "the contract's libraries are all in it"


def test_it_reads_artifacts_from_either_clouds_store(dockerfile: Dockerfile) -> None:
    """MLflow's client, which downloads from the store itself, imports these when it meets such a URI."""
    image = {name for name, _ in read_versions(dockerfile.folder)}
    assert {"azure-storage-blob", "azure-identity", "boto3"} <= image


def test_it_runs_as_a_numbered_user_that_is_not_root(dockerfile: Dockerfile) -> None:
    assert dockerfile.last("USER") == ["10001:10001"]
    names = [name for name, _ in dockerfile.last_stage]
    assert {"RUN", "COPY", "ADD"}.isdisjoint(names[names.index("USER") :])


def test_it_writes_only_to_tmp(dockerfile: Dockerfile) -> None:
    settings = " ".join(dockerfile.last("ENV"))
    assert "HOME=/tmp" in settings
    assert "PYTHONDONTWRITEBYTECODE=1" in settings
    assert dockerfile.last("WORKDIR") == ["/tmp"]  # noqa: S108 (the image's)


def test_the_image_contains_neither_secrets_nor_remote_files(dockerfile: Dockerfile) -> None:
    assert not [rest for name, rest in dockerfile.steps if name == "ADD"]
    words = r"(?i)password|token|secret|_key"
    assert not [rest for name, rest in dockerfile.steps if name in ("ENV", "ARG") and re.search(words, rest)]


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("serving", '["python", "-m", "lifecycle.serving"]'),
        ("training", '["python", "-m", "lifecycle.training"]'),
        ("experiment", '["python", "-m", "lifecycle.experiment"]'),  # the argument says: router or writer
        ("drift", '["python", "-m", "lifecycle.drift"]'),  # the argument says: the collector or a check
        ("promotion", '["python", "-m"]'),  # the arguments say which of its programs
    ],
)
def test_it_starts_python_itself_so_that_signals_reach_it(image: str, command: str) -> None:
    assert Dockerfile(image).last("ENTRYPOINT") == [command]


def test_nothing_is_compiled_for_serving() -> None:
    assert all(len(Dockerfile(image).installs) == 1 for image in ("serving", "promotion", "experiment", "drift"))


def test_promotion_has_git_but_no_package_index() -> None:
    (install,) = (rest for rest in Dockerfile("promotion").last("RUN") if "apt-get" in rest)
    assert "--no-install-recommends git=1:2.39.*" in install
    assert "rm -rf /var/lib/apt/lists/*" in install
    assert not any("apt-get" in rest for image in ("serving", "training") for _, rest in Dockerfile(image).steps)
