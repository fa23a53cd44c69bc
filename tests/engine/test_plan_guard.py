"""The plan guard on another project: what its next deployment would lose, from the real engine's JSON.

Proves that the real engine's document and events describe a replacement and a deletion as the guard reads them, that an
approval as the guard prints it allows them, and that a failed preview is rejected. Other contents of documents are
tested in tests/unit/plan_guard; that `make up` runs the guard, in tests/unit/deploy/test_commands.py.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import Run
from tests.support.small_projects import OFFLINE_DESCRIPTION, OFFLINE_FILES, create_project, deployed, run

pytestmark = pytest.mark.engine

PROGRAM = (
    "import pulumi\n"
    "import pulumi_aws as aws\n"
    "\n"
    "name = pulumi.Config().require('bucket')\n"
    "assets = aws.s3.Bucket('assets', bucket=name)\n"
    "if name == 'shop-assets':\n"
    "    aws.cloudwatch.LogGroup('visits', name='/shop/visits', retention_in_days=30)\n"
    "if name == 'shop-failing':\n"
    "    raise ValueError('there is no such bucket')\n"
)
FILES = {
    "Pulumi.yaml": "name: shop\nruntime: python\n",
    "rehearsal.yaml": f"stacks: .\n{OFFLINE_DESCRIPTION}",
    **OFFLINE_FILES,
    "Pulumi.test.yaml": "config:\n  aws:region: eu-west-1\n  shop:bucket: shop-assets\n",
    "__main__.py": PROGRAM,
}
BUCKET_LOSS = "aws:s3/bucket:Bucket assets is replaced because of bucket, and with it its objects"
LOGS_LOSS = "aws:cloudwatch/logGroup:LogGroup visits is deleted, and with it its logs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_project(tmp_path_factory.mktemp("shop"), FILES)


@pytest.fixture(scope="module")
def exports(folder: Path) -> Iterator[str]:
    """The exports that a shell evaluates to work on the project, which is up on simulated clouds."""
    with deployed(folder, "test") as text:
        yield text


def write_preview(folder: Path, exports: str, bucket: str) -> None:
    """Write a preview with a setting to preview.json and preview.jsonl."""
    command = "pulumi preview --json --show-replacement-steps --event-log {0}/preview.jsonl > {0}/preview.json"
    script = f"pulumi config set shop:bucket {bucket} && {{ rm -f preview.jsonl; {command.format(folder)}; }}"
    run(folder, ["sh", "-c", f"{exports}\n{script}"])


def run_guard(folder: Path, file: str) -> Run:
    return run(folder, [sys.executable, "-m", "plan_guard", file])


def test_a_loss_stops_the_deployment_until_it_is_approved(folder: Path, exports: str) -> None:
    write_preview(folder, exports, "shop-pictures")
    for file in ("preview.json", "preview.jsonl"):
        refused = run_guard(folder, file)
        assert refused.returncode == 1, refused.output
        assert "test would lose data without approval:" in refused.output
        assert [loss for loss in (BUCKET_LOSS, LOGS_LOSS) if f"  - {loss}\n" not in refused.output] == []
    entries = refused.output[refused.output.index("- stack:") :]
    (folder / "approvals.yaml").write_text(re.sub(r"(reason|approver):", r"\1: ada", entries))
    for file in ("preview.json", "preview.jsonl"):
        passed = run_guard(folder, file)
        assert passed.returncode == 0, passed.output
        assert passed.output.count("approved by ada") == 2


def test_an_approval_of_a_loss_that_is_not_planned_is_a_warning(folder: Path, exports: str) -> None:
    write_preview(folder, exports, "shop-assets")
    passed = run_guard(folder, "preview.json")
    assert passed.returncode == 0, passed.output
    assert passed.output.count("matches no planned loss. Remove it.") == 2


def test_a_failed_preview_is_not_a_plan(folder: Path, exports: str) -> None:
    write_preview(folder, exports, "shop-failing")
    for file in ("preview.json", "preview.jsonl"):
        refused = run_guard(folder, file)
        assert refused.returncode == 1
        assert f"{file} is from a preview that failed" in refused.output
        assert "there is no such bucket" in refused.output
