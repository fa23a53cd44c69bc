"""Invalid settings, and the message with which `make rehearse` ends before it starts anything.

The commands run in this process; tests/engine/test_bad_input.py proves the same for some of them on the command line.
Each rule of the settings is proven in tests/unit/infra/test_settings.py.
"""

from __future__ import annotations

import shutil
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies import load_exceptions
from rehearsal import policy_configuration, project, stack_rehearsal
from rehearsal.console import UserError
from rehearsal.toolchain import ROOT

STACK = "azure-dev"


@pytest.fixture
def stack_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of the stack, in a copy of the stacks' folder. The test fails if a rehearsal starts."""
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    copy = replace(project.load(ROOT), root=tmp_path, stacks=tmp_path / "stacks")
    monkeypatch.setattr(project, "current", lambda: copy)
    monkeypatch.setattr(stack_rehearsal, "preparing", lambda: pytest.fail("the rehearsal started"))
    return tmp_path / "stacks" / f"Pulumi.{STACK}.yaml"


def run_up() -> str:
    """Run the command, which must fail; returns its message."""
    with pytest.raises(UserError) as raised:
        stack_rehearsal.up(Namespace(stack=STACK, purpose="", port=0, strict=False, confirm=[], policy_pack_config=""))
    return str(raised.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"colud": "azure"}, "groundwork:colud (line "),
        ({"cluster": {"userPool": {"minimum": "few"}}}, "groundwork:cluster.userPool.minimum = 'few'"),
        ({"network": {"cidr": "10.0.0.0/33"}}, "groundwork:network.cidr = '10.0.0.0/33'"),
        ({"network": {"cidr": "10.0.0.0/24"}}, "must be between /16 and /20"),
        ({"network": {"cidr": "10.244.0.0/16"}}, "overlaps podCidr"),
        ({"cluster": {"userPool": {"minimum": 9, "maximum": 3}}}, "is above maximum 3"),
        (
            {"cluster": {"privateAccessFrom": ["10.0.0.0/24"], "kubernetesVersion": "1.20"}},
            "is not offered: AKS has no such version",
        ),
        ({"cluster": {}}, "nobody could reach the Kubernetes API"),
        ({"environment": "production"}, "groundwork:environment = 'production'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_invalid_setting_is_an_error_with_a_remedy(
    stack_file: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    content = yaml.safe_load(stack_file.read_text())
    content["config"].update({f"groundwork:{name}": value for name, value in settings.items()})
    stack_file.write_text(yaml.safe_dump(content))
    error = run_up()
    assert message in error
    assert "Remedy: " in error
    assert not (tmp_path / ".groundwork").exists()


def test_a_missing_setting_is_named(stack_file: Path) -> None:
    stack_file.write_text(stack_file.read_text().replace("groundwork:owner", "groundwork:costCenter"))
    assert "groundwork:owner is not set" in run_up()


def test_exceptions_that_cannot_be_read_are_named(stack_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = stack_file.parent / "exceptions.yaml"
    broken.write_text("- control: x\n   resource: y")
    monkeypatch.setattr(policy_configuration, "load_exceptions", lambda: load_exceptions(broken))
    assert "stacks/exceptions.yaml, line 2, column 12: this is not YAML" in run_up()


def test_a_stack_file_that_is_not_yaml_is_named(stack_file: Path) -> None:
    stack_file.write_text("config: [unclosed")
    assert f"stacks/Pulumi.{STACK}.yaml, line 1, column 9: this is not YAML" in run_up()
