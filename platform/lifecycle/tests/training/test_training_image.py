"""The training image has everything that the pipeline's steps need. tests/test_images tests what all images share."""

from __future__ import annotations

import re
import sys

from support.dockerfile import FOLDER, Dockerfile, read_versions

DOCKERFILE = Dockerfile("training")


def test_libraries_without_a_wheel_are_built_by_the_locked_setuptools() -> None:
    """An isolated build would use the newest setuptools, which nothing checks."""
    builder_install, install = DOCKERFILE.installs
    assert builder_install.endswith("-r /build/requirements-build.txt")
    assert "--no-build-isolation" in install
    builder = (DOCKERFILE.folder / "requirements-build.txt").read_text().partition("\n")[2].strip()
    assert builder.startswith("setuptools==")
    assert builder in (DOCKERFILE.folder / "requirements.txt").read_text()


def test_every_library_that_training_imports_is_in_it() -> None:
    image = {name.replace("-", "_") for name, _ in read_versions(DOCKERFILE.folder)}
    elsewhere = {"sklearn": "scikit_learn", "yaml": "pyyaml"}
    sources = [*FOLDER.glob("src/lifecycle/training/*.py"), *FOLDER.glob("src/lifecycle/contract/*.py")]
    text = "\n".join(source.read_text() for source in sources)
    imported = set(re.findall(r"(?m)^ *(?:import|from) (\w+)", text)) - set(sys.stdlib_module_names) - {"lifecycle"}
    assert len(imported) > 8
    assert {name for name in imported if elsewhere.get(name, name) not in image} == set()


def test_mlflow_does_not_look_for_git() -> None:
    assert "GIT_PYTHON_REFRESH=quiet" in " ".join(DOCKERFILE.last("ENV"))
