"""The serving image's recipe, read as text: pinned, in stages, not as root, fit for a read-only root.

Not proven: that it builds: that takes a container engine, which these tests do without.
"""

from __future__ import annotations

import re
from pathlib import Path

from lifecycle.contract import load

FOLDER = Path(__file__).parents[2]
LINES = re.sub(r"\\\n", " ", (FOLDER / "images/serving/Dockerfile").read_text()).splitlines()
STEPS = [line.split(maxsplit=1) for line in LINES if line.strip() and not line.startswith("#")]
LAST_STAGE = STEPS[max(number for number, step in enumerate(STEPS) if step[0] == "FROM") :]


def versions(folder: Path) -> set[tuple[str, str]]:
    """Names and versions of a lock, which may have two of one name, for different Pythons."""
    return set(re.findall(r"(?m)^([\w.-]+)(?:\[.*?\])?==(\S+)", (folder / "requirements.txt").read_text()))


def last(instruction: str) -> list[str]:
    return [rest for name, rest in LAST_STAGE if name == instruction]


def test_every_base_image_is_pinned_by_one_and_the_same_digest() -> None:
    bases = {rest.split()[0] for name, rest in STEPS if name == "FROM"}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", bases.pop())


def test_the_base_images_python_is_the_serving_contracts() -> None:
    contract = (FOLDER / "src/lifecycle/contract/environment.yaml").read_text()
    assert 'python: "3.11"' in contract


def test_build_tools_stay_in_the_build_stage() -> None:
    assert sum(name == "FROM" for name, _ in STEPS) == 2
    assert last("COPY") == ["--from=build /opt/serving /opt/serving"]
    assert not any("pip install" in rest or "apt-get" in rest for rest in last("RUN"))


def test_libraries_come_from_the_lock_with_hashes_and_nothing_is_compiled() -> None:
    [install] = [rest for name, rest in STEPS if name == "RUN" and "pip install" in rest]
    assert "--require-hashes" in install
    assert "--only-binary=:all:" in install
    assert install.endswith("-r /build/requirements.txt")


def test_the_image_installs_the_locked_versions() -> None:
    lock, image = versions(FOLDER), versions(FOLDER / "images/serving")
    assert image - lock == set()
    assert set(load().libraries.items()) <= image, "the contract's libraries are all in it"


def test_it_runs_as_a_numbered_user_that_is_not_root() -> None:
    assert last("USER") == ["10001:10001"]
    after = [name for name, _ in LAST_STAGE[[name for name, _ in LAST_STAGE].index("USER") :]]
    assert {"RUN", "COPY", "ADD"}.isdisjoint(after)


def test_it_writes_to_tmp_alone() -> None:
    settings = " ".join(last("ENV"))
    assert "HOME=/tmp" in settings
    assert "PYTHONDONTWRITEBYTECODE=1" in settings
    assert last("WORKDIR") == ["/tmp"]  # noqa: S108 (the image's)


def test_it_starts_the_server_itself_so_that_signals_reach_it() -> None:
    assert last("ENTRYPOINT") == ['["python", "-m", "lifecycle.serving"]']
    assert last("EXPOSE") == ["8000"]


def test_the_image_contains_neither_secrets_nor_remote_files() -> None:
    assert not [rest for name, rest in STEPS if name == "ADD"]
    assert not [
        rest for name, rest in STEPS if name in ("ENV", "ARG") and re.search(r"(?i)password|token|secret|_key", rest)
    ]
