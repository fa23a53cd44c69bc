"""The benchmark of the policy pack compares it with a pack without controls.

Proves that such a pack starts, answers the engine's requests without findings and loads no controls, and how the page
shows it. Does not measure anything.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc

import policies
from rehearsal import project
from rehearsal.console import UserError
from rehearsal.empty_policy_pack import write_empty_pack
from rehearsal.measurement import Measurement
from rehearsal.policy_benchmark import Cost, Previews, Stack, Starts, format_report, start_pack
from rehearsal.toolchain import ROOT
from tests.support.policies.analyzer import build_request
from tests.support.policies.cases import Declared

pytestmark = pytest.mark.process

BAD = Declared("kubernetes:core/v1:Pod", {"spec": {"containers": [{"securityContext": {"privileged": True}}]}}, "bad")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return write_empty_pack(tmp_path / "pack", project.current().require("policy_pack"))


def test_a_pack_without_controls_answers_without_findings(empty: Path) -> None:
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(empty)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
            server = analyzer_pb2_grpc.AnalyzerStub(channel)
            names = [each.name for each in server.GetAnalyzerInfo(empty_pb2.Empty()).policies]
            assert server.Remediate(build_request(BAD)) == proto.RemediateResponse()
            assert server.Analyze(build_request(BAD)) == proto.AnalyzeResponse()
        process.terminate()
    assert names == ["exceptions"]


def test_a_pack_without_controls_loads_none(empty: Path) -> None:
    main = (empty / "__main__.py").read_text().replace("pulumi_policy.PolicyPack(", "print(*sys.modules, [")
    code = main.rstrip().removesuffix(")") + "])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "policies.engine.servicer" in loaded
    assert not [name for name in loaded if name.startswith("policies.controls")]


def test_the_start_of_a_pack_is_timed(empty: Path) -> None:
    assert 0 < start_pack(empty) < 60
    (empty / "__main__.py").write_text("raise SystemExit('it is broken')")
    with pytest.raises(UserError, match="it is broken"):
        start_pack(empty)


def test_the_page_has_the_floor_beside_the_ratio() -> None:
    def measure(*seconds: float) -> list[Measurement]:
        return [Measurement(each, 100) for each in seconds]

    previews = Previews("aws-prod", 2, measure(12, 24, 13), measure(11, 21, 12), measure(10, 20, 10))
    [control] = [each for each in policies.controls() if each.id == "k8s-pod-privileged"]
    page = format_report([Stack("aws-prod", [])], [previews], Starts([0.3, 0.5], [0.2, 0.2]), [Cost(control, 1, 5)])
    assert "| aws-prod | 2 | 13.0 s | 12.0 s | 10.0 s | 1.20 | 1.10 | 1.15 | no |" in page
    assert "Without a control: 0.20 s" in page
