"""A Pulumi project that is not this one: its own folder, settings and program, no policy pack, no charts.

Proves that a rehearsal knows of a project only what `rehearsal.yaml` says.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal.preparation import preparing
from rehearsal.toolchain import ROOT

pytestmark = pytest.mark.engine

TIMEOUT = 600  # seconds, on a machine that does other things too

FILES = {
    "Pulumi.yaml": "name: letters\nruntime: python\nstackConfigDir: stacks\n",
    "rehearsal.yaml": "stacks: stacks\nsettings: letters.settings:check\n",
    "stacks/Pulumi.test.yaml": "config:\n  letters:words: 'alpha,beta'\n  aws:region: eu-west-1\n",
    "stacks/Pulumi.wrong.yaml": "config:\n  letters:wrods: 'alpha'\n",
    "letters/__init__.py": "",
    "letters/settings.py": (
        "def check(file, stack):\n"
        "    if 'letters:words' not in file.values:\n"
        "        raise ValueError(f'letters:words is not set in {stack}')\n"
    ),
    "__main__.py": (
        "import pulumi\n"
        "import pulumi_aws as aws\n"
        "\n"
        "words = pulumi.Config().require('words').split(',')\n"
        "groups = [aws.cloudwatch.LogGroup(word, name=f'/letters/{word}', retention_in_days=30) for word in words]\n"
        "pulumi.export('groups', pulumi.Output.all(*(group.name for group in groups)))\n"
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("letters")
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    with preparing() as preparation:
        preparation.controllers()
    return root


def rehearse(folder: Path, command: str, stack: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rehearsal", command, stack],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )


def test_it_is_rehearsed_from_its_own_folder_and_leaves_its_files_alone(folder: Path) -> None:
    run = rehearse(folder, "up", "test")
    assert run.returncode == 0, run.stdout
    assert "0 changes" in run.stdout
    assert "/letters/alpha" in run.stdout
    assert "2  aws cloudwatch" in run.stdout
    assert "exempt" not in run.stdout, "this project has no policies, and so no exceptions"
    assert {name: (folder / name).read_text() for name in FILES} == FILES
    assert (folder / ".groundwork" / "rehearsals" / "test").is_dir()
    assert rehearse(folder, "destroy", "test").returncode == 0


def test_its_own_check_of_settings_comes_before_the_engine(folder: Path) -> None:
    run = rehearse(folder, "up", "wrong")
    assert (run.returncode, run.stdout.strip()) == (1, "error: letters:words is not set in wrong")


def test_an_unknown_stack_is_an_error_that_lists_this_projects_stacks(folder: Path) -> None:
    run = rehearse(folder, "up", "azure-dev")
    assert "stacks/Pulumi.azure-dev.yaml does not exist. Stacks are test, wrong" in run.stdout
