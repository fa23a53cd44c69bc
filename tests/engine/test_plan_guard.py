"""The plan guard on a project that is not this one: what its next deployment would lose, from the real engine's JSON.

Proves that the document and the events of the real engine say of a replacement and a deletion what the guard reads,
that an approval as the guard prints it lets them pass, and that a failed preview is refused. What else a document may
have, tests/unit/plan_guard proves; that `make up` asks the guard, tests/unit/deploy/test_commands.py.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import Run
from tests.support.small_projects import OFFLINE_DESCRIPTION, OFFLINE_FILES, create_project, run, standing

pytestmark = pytest.mark.engine

PROGRAM = (
    "import pulumi\n"
    "import pulumi_aws as aws\n"
    "\n"
    "name = pulumi.Config().require('bucket')\n"
    "assets = aws.s3.Bucket('assets', bucket=name)\n"
    "if name == 'shop-assets':\n"
    "    aws.cloudwatch.LogGroup('visits', name='/shop/visits', retention_in_days=30)\n"
    "if name == 'shop-nowhere':\n"
    "    raise ValueError('there is no such bucket')\n"
)
FILES = {
    "Pulumi.yaml": "name: shop\nruntime: python\n",
    "rehearsal.yaml": f"stacks: .\n{OFFLINE_DESCRIPTION}",
    **OFFLINE_FILES,
    "Pulumi.test.yaml": "config:\n  aws:region: eu-west-1\n  shop:bucket: shop-assets\n",
    "__main__.py": PROGRAM,
}
BUCKET = "aws:s3/bucket:Bucket assets is replaced because of bucket, and with it its objects"
LOGS = "aws:cloudwatch/logGroup:LogGroup visits is deleted, and with it its logs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_project(tmp_path_factory.mktemp("shop"), FILES)


@pytest.fixture(scope="module")
def exports(folder: Path) -> Iterator[str]:
    """What a shell evaluates to work on the project, which stands on simulated clouds."""
    with standing(folder, "test") as text:
        yield text


def preview(folder: Path, exports: str, bucket: str) -> None:
    """Preview with a setting, into preview.json and preview.jsonl."""
    command = "pulumi preview --json --show-replacement-steps --event-log {0}/preview.jsonl > {0}/preview.json"
    script = f"pulumi config set shop:bucket {bucket} && {{ rm -f preview.jsonl; {command.format(folder)}; }}"
    run(folder, ["sh", "-c", f"{exports}\n{script}"])


def guard(folder: Path, file: str) -> Run:
    return run(folder, [sys.executable, "-m", "plan_guard", file])


def test_a_loss_stops_until_it_is_approved(folder: Path, exports: str) -> None:
    preview(folder, exports, "shop-pictures")
    for file in ("preview.json", "preview.jsonl"):
        refused = guard(folder, file)
        assert refused.returncode == 1, refused.output
        assert "test would lose data without approval:" in refused.output
        assert [loss for loss in (BUCKET, LOGS) if f"  - {loss}\n" not in refused.output] == []
    entries = refused.output[refused.output.index("- stack:") :]
    (folder / "approvals.yaml").write_text(re.sub(r"(reason|approver):", r"\1: ada", entries))
    for file in ("preview.json", "preview.jsonl"):
        passed = guard(folder, file)
        assert passed.returncode == 0, passed.output
        assert passed.output.count("approved by ada") == 2


def test_an_approval_of_what_is_done_is_warned_of(folder: Path, exports: str) -> None:
    preview(folder, exports, "shop-assets")
    passed = guard(folder, "preview.json")
    assert passed.returncode == 0, passed.output
    assert passed.output.count("matches no planned loss. Remove it.") == 2


def test_a_preview_that_failed_is_no_plan(folder: Path, exports: str) -> None:
    preview(folder, exports, "shop-nowhere")
    for file in ("preview.json", "preview.jsonl"):
        refused = guard(folder, file)
        assert refused.returncode == 1
        assert f"{file} is from a preview that failed" in refused.output
        assert "there is no such bucket" in refused.output
