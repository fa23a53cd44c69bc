"""The project's reader of stack files reads what the engine reads.

Proves this with the engine itself, for spellings of values that YAML parsers read differently and for files that the
engine rejects. The engine reads without running a program; that a program gets these values is the engine's contract.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel import stack_file
from kernel.yaml_document import DocumentError
from tests.support.stack_files import REFUSED, SPELLINGS, write

pytestmark = pytest.mark.engine

Engine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run_engine(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Run `pulumi` in the folder of a project with one stack, which has no resources."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (folder / "backend").mkdir()
    environment = {
        **os.environ,
        "PULUMI_BACKEND_URL": (folder / "backend").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_STACK": "test",
    }

    def run(*arguments: str, file: str | bytes = "") -> subprocess.CompletedProcess[str]:
        path = folder / "checked.yaml"
        path.write_bytes(file if isinstance(file, bytes) else file.encode())
        command = [str(engine), *arguments, "--config-file", str(path)]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    subprocess.run([str(engine), "stack", "init", "test"], cwd=folder, env=environment, check=True, capture_output=True)
    return run


def read_values(run_engine: Engine, file: str | bytes) -> dict[str, str]:
    reply = run_engine("config", "--json", file=file)
    assert reply.returncode == 0, reply.stderr
    return {key: entry.get("value", "") for key, entry in json.loads(reply.stdout).items()}


def test_both_readers_agree_on_every_spelling(run_engine: Engine) -> None:
    file = write(SPELLINGS)
    expected = read_values(run_engine, file)
    values = stack_file.parse(file.encode(), "shop", "checked.yaml").values
    assert {key: _comparable(value) for key, value in values.items()} == {
        key: _comparable(value) for key, value in expected.items()
    }


def test_a_byte_order_mark_is_ignored(run_engine: Engine) -> None:
    file = "config:\n  shop:a: ü\n".encode("utf-8-sig")
    assert read_values(run_engine, file) == stack_file.parse(file, "shop", "checked.yaml").values


def test_the_copy_without_encryption_has_the_same_values(run_engine: Engine) -> None:
    file = stack_file.parse(write(SPELLINGS).encode(), "shop", "checked.yaml")
    copy = stack_file.format_content(file.without_encryption(lambda _: "placeholder"))
    values = read_values(run_engine, copy)
    assert {key: _comparable(value) for key, value in values.items()} == {
        key: _comparable(value) for key, value in file.values.items()
    }


@pytest.mark.parametrize("reason", REFUSED)
def test_the_reader_rejects_what_the_engine_rejects(run_engine: Engine, reason: str) -> None:
    reply = run_engine("config", "--json", file=REFUSED[reason])
    assert reply.returncode != 0, reply.stdout
    with pytest.raises(DocumentError):
        stack_file.parse(REFUSED[reason].encode(), "shop", "checked.yaml")


def _comparable(value: str) -> Any:
    """Objects and lists as values, since their JSON differs in blanks and order; everything else as text."""
    return json.loads(value) if value[:1] in ("{", "[") else value
