"""Another project under the published pack: its own program in Pulumi's default style, its own settings and exceptions.

Proves with the real engine that the pack judges resources which Pulumi names itself, on AWS and Kubernetes; that
exceptions of the project are in force; and that a state is audited without an update, by `pulumi policy analyze`. The
pack runs in this project's environment: that its own is enough is proven by tests/unit/policies/test_distribution.py
only as far as its requirements list what it imports.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from kernel.reviewed_entries import find_today
from policies.distribution import write_pack
from rehearsal.toolchain import ROOT
from tests.support.project import Run
from tests.support.small_projects import create_project, run_in_shell, standing

pytestmark = pytest.mark.engine

FILES = {
    "Pulumi.yaml": "name: shop\nruntime: python\n",
    "rehearsal.yaml": "stacks: .\n",
    "Pulumi.test.yaml": "config:\n  aws:region: eu-west-1\n",
    "__main__.py": (
        "import pulumi\n"
        "import pulumi_aws as aws\n"
        "import pulumi_kubernetes as kubernetes\n"
        "\n"
        "assets = aws.s3.Bucket('assets')\n"
        "namespace = kubernetes.core.v1.Namespace('shop')\n"
        "labels = {'app': 'web'}\n"
        "web = kubernetes.apps.v1.Deployment(\n"
        "    'web',\n"
        "    metadata={'namespace': namespace.metadata.name},\n"
        "    spec={\n"
        "        'replicas': 0,\n"  # the project has no cluster, and so no nodes
        "        'selector': {'match_labels': labels},\n"
        "        'template': {\n"
        "            'metadata': {'labels': labels},\n"
        "            'spec': {'containers': [{'name': 'web', 'image': 'registry.example.com/web:1'}]},\n"
        "        },\n"
        "    },\n"
        ")\n"
        "pulumi.export('assets', assets.bucket)\n"
    ),
}
VIOLATION = re.compile(r"\[(?:critical|high|medium|low)\] ([a-z0-9-]+): ")


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "policy-pack"
    write_pack(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_project(tmp_path_factory.mktemp("shop"), FILES)


@pytest.fixture(scope="module")
def exports(folder: Path) -> Iterator[str]:
    """What a shell evaluates to work on the project, which stands on simulated clouds."""
    with standing(folder, "test") as text:
        yield text


def preview(folder: Path, exports: str, pack: Path, **exceptions: str) -> Run:
    configuration = folder / "policies.json"
    configuration.write_text(
        json.dumps({"exceptions": exceptions, "k8s-pod-image-registry": {"allowed": ["registry.example.com/*"]}})
    )
    options = ["--policy-pack", str(pack), "--policy-pack-config", str(configuration)]
    return run_in_shell(folder, exports, "pulumi", "preview", *options)


def write_exceptions(folder: Path, controls: set[str]) -> None:
    """Exceptions for everything from these controls, one that ends soon, and one that nothing needs."""
    later, soon = (find_today() + timedelta(days=days) for days in (200, 10))
    fields = {"resource": "*", "owner": "shop", "reason": "the project has just begun"}
    ending = min(controls)
    entries = [{**fields, "control": each, "expires": soon if each == ending else later} for each in controls]
    unused = {**fields, "control": "aws-rds-backups", "resource": "orders", "stack": "test", "expires": later}
    (folder / "policy-exceptions.yaml").write_text(yaml.safe_dump([*entries, unused]))


def test_it_is_judged_and_goes_on_with_exceptions_of_its_own(folder: Path, exports: str, pack: Path) -> None:
    refused = preview(folder, exports, pack)
    controls = set(VIOLATION.findall(refused.output))
    assert refused.returncode != 0, refused.output
    expected = {"aws-s3-public-access-block", "aws-s3-kms", "k8s-namespace-pod-security", "k8s-pod-resources"}
    assert expected <= controls, refused.output
    assert "k8s-pod-image-registry" not in controls, "the project's registry is allowed by its settings"

    write_exceptions(folder, controls)
    passed = preview(folder, exports, pack, file="policy-exceptions.yaml")
    assert passed.returncode == 0, passed.output
    assert not VIOLATION.findall(passed.output)
    printed = " ".join(passed.output.split())
    assert f"the exception from '{min(controls)}' for '*' expires on" in printed
    assert "the exception from 'aws-rds-backups' for 'orders' is not used because test has no such resource" in printed


def test_a_wrong_path_of_exceptions_stops_the_run_with_one_message(folder: Path, exports: str, pack: Path) -> None:
    reply = preview(folder, exports, pack, file="nowhere.yaml")
    assert reply.returncode != 0
    assert "nowhere.yaml cannot be read: No such file or directory." in " ".join(reply.output.split())
    assert "Traceback" not in reply.output


def test_its_state_is_audited_without_an_update(folder: Path, exports: str) -> None:
    export, report = folder / "export.json", folder / "audit.json"
    assert run_in_shell(folder, exports, "pulumi", "stack", "export", "--file", str(export)).returncode == 0
    options = ["--file", str(export), "--format", "json", "--output", str(report)]
    audit = run_in_shell(ROOT, exports, sys.executable, "-m", "delivery", "audit", "azure-dev", *options)
    assert audit.returncode == 1, audit.output
    content = json.loads(report.read_text())
    assert content["subject"] == "test"
    found = {(each["policy"], each["resource"].rsplit("::", 1)[-1]) for each in content["findings"]}
    assert {("aws-s3-kms", "assets"), ("k8s-namespace-pod-security", "shop"), ("k8s-pod-resources", "web")} <= found
