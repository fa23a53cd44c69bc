"""The training image's recipe, read as text: pinned, in stages, not as root, with what the pipeline's steps need.

Not proven: that it builds, and that a cloud's training service lets its user write: that takes a container engine
and the cloud, which these tests do without.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from lifecycle.contract import load

FOLDER = Path(__file__).parents[2]
IMAGE = FOLDER / "images/training"
LINES = re.sub(r"\\\n", " ", (IMAGE / "Dockerfile").read_text()).splitlines()
STEPS = [line.split(maxsplit=1) for line in LINES if line.strip() and not line.startswith("#")]
LAST_STAGE = STEPS[max(number for number, step in enumerate(STEPS) if step[0] == "FROM") :]
INSTALLS = [rest for name, rest in STEPS if name == "RUN" and "pip install" in rest]


def versions(folder: Path) -> set[tuple[str, str]]:
    """Names and versions of a lock, which may have two of one name, for different Pythons."""
    return set(re.findall(r"(?m)^([\w.-]+)(?:\[.*?\])?==(\S+)", (folder / "requirements.txt").read_text()))


def last(instruction: str) -> list[str]:
    return [rest for name, rest in LAST_STAGE if name == instruction]


def test_the_base_image_is_the_serving_images_pinned_by_digest() -> None:
    serving = (FOLDER / "images/serving/Dockerfile").read_text()
    bases = {rest.split()[0] for name, rest in STEPS if name == "FROM"}
    assert len(bases) == 1
    base = bases.pop()
    assert re.fullmatch(r"python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", base)
    assert set(re.findall(r"(?m)^FROM (\S+)", serving)) == {base}
    assert base.startswith(f"python:{load().python}-")


def test_build_tools_stay_in_the_build_stage() -> None:
    assert sum(name == "FROM" for name, _ in STEPS) == 2
    assert last("COPY") == ["--from=build /opt/training /opt/training"]
    assert not any("pip install" in rest or "apt-get" in rest for rest in last("RUN"))


def test_every_library_comes_from_a_lock_with_hashes() -> None:
    assert len(INSTALLS) == 2
    assert all("--require-hashes" in install and "--only-binary=:all:" in install for install in INSTALLS)
    assert [install.split()[-1] for install in INSTALLS] == ["/build/requirements-build.txt", "/build/requirements.txt"]


def test_libraries_without_a_wheel_are_built_by_the_locked_setuptools() -> None:
    """Built apart, it would be by whatever setuptools is newest, unchecked."""
    assert "--no-build-isolation" in INSTALLS[1]
    builder = (IMAGE / "requirements-build.txt").read_text().partition("\n")[2].strip()
    assert builder.startswith("setuptools==")
    assert builder in (IMAGE / "requirements.txt").read_text()


def test_the_image_installs_the_locked_versions() -> None:
    lock, image = versions(FOLDER), versions(IMAGE)
    assert image - lock == set()
    assert set(load().libraries.items()) <= image, "the contract's libraries are all in it"


def test_every_library_that_training_imports_is_in_it() -> None:
    image = {name.replace("-", "_") for name, _ in versions(IMAGE)}
    elsewhere = {"sklearn": "scikit_learn", "yaml": "pyyaml"}
    sources = [*FOLDER.glob("src/lifecycle/training/*.py"), *FOLDER.glob("src/lifecycle/contract/*.py")]
    text = "\n".join(source.read_text() for source in sources)
    imported = set(re.findall(r"(?m)^ *(?:import|from) (\w+)", text)) - set(sys.stdlib_module_names) - {"lifecycle"}
    assert len(imported) > 8
    assert {name for name in imported if elsewhere.get(name, name) not in image} == set()


def test_it_runs_as_a_numbered_user_that_is_not_root() -> None:
    assert last("USER") == ["10001:10001"]
    after = [name for name, _ in LAST_STAGE[[name for name, _ in LAST_STAGE].index("USER") :]]
    assert {"RUN", "COPY", "ADD"}.isdisjoint(after)


def test_it_writes_to_tmp_and_does_not_look_for_git() -> None:
    settings = " ".join(last("ENV"))
    assert [
        word for word in ("HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1", "GIT_PYTHON_REFRESH=quiet") if word not in settings
    ] == []
    assert last("WORKDIR") == ["/tmp"]  # noqa: S108 (the image's)


def test_it_starts_trainings_command_line() -> None:
    assert last("ENTRYPOINT") == ['["python", "-m", "lifecycle.training"]']


def test_the_image_contains_neither_secrets_nor_remote_files() -> None:
    assert not [rest for name, rest in STEPS if name == "ADD"]
    assert not [
        rest for name, rest in STEPS if name in ("ENV", "ARG") and re.search(r"(?i)password|token|secret|_key", rest)
    ]
