"""The same commands against the real clouds: what is missing is said before anything is started."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from rehearsal.console import UserError
from rehearsal.engine import pulumi_cli
from rehearsal.session import POLICIES
from rehearsal.toolchain import ROOT


def run(stack: str, action: str) -> int:
    """Run `pulumi <action>` for the stack against its real cloud, under the policies.

    Raises UserError when credentials, backend or the official language host are missing.
    """
    problems = missing(stack, os.environ)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise UserError(
            f"`make {action} STACK={stack}` works on the real cloud, and something is missing:\n{listed}\n"
            f"Nothing has been touched. `make rehearse STACK={stack}` needs none of it."
        )
    policies = [] if action == "destroy" else ["--policy-pack", str(POLICIES)]
    command = [str(pulumi_cli.engine()), action, "--stack", stack, *policies]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def missing(stack: str, environment: Mapping[str, str]) -> list[str]:
    """What `stack` needs for its real cloud and is not there, each with its remedy."""
    problems = []
    if not _has_backend(environment):
        problems.append("a backend for the state: run `pulumi login`, or set PULUMI_ACCESS_TOKEN or PULUMI_BACKEND_URL")
    if shutil.which("pulumi", path=environment.get("PATH")) is None:
        problems.append(
            "an installed Pulumi with its Python language host: https://www.pulumi.com/docs/install/ "
            "(the rehearsal's own build fetches no cloud plugins)"
        )
    if stack.startswith("azure-") and not _has_azure(environment):
        problems.append(
            "credentials for Azure: run `az login`, or set ARM_CLIENT_ID, ARM_TENANT_ID and ARM_SUBSCRIPTION_ID with "
            "ARM_USE_OIDC=true or ARM_CLIENT_SECRET"
        )
    if stack.startswith("aws-") and not _has_aws(environment):
        problems.append(
            "credentials for AWS: run `aws sso login` and set AWS_PROFILE, or set AWS_ROLE_ARN with "
            "AWS_WEB_IDENTITY_TOKEN_FILE, or AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY"
        )
    return problems


def _has_backend(environment: Mapping[str, str]) -> bool:
    home = Path(environment.get("PULUMI_HOME", Path.home() / ".pulumi"))
    return (
        bool(environment.get("PULUMI_ACCESS_TOKEN") or environment.get("PULUMI_BACKEND_URL"))
        or (home / "credentials.json").exists()
    )


def _has_azure(environment: Mapping[str, str]) -> bool:
    named = all(environment.get(key) for key in ("ARM_CLIENT_ID", "ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID"))
    proven = bool(environment.get("ARM_USE_OIDC") or environment.get("ARM_CLIENT_SECRET"))
    profile = Path(environment.get("AZURE_CONFIG_DIR", Path.home() / ".azure")) / "azureProfile.json"
    return (named and proven) or profile.exists()


def _has_aws(environment: Mapping[str, str]) -> bool:
    pairs = (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"))
    return bool(environment.get("AWS_PROFILE")) or any(all(environment.get(key) for key in pair) for pair in pairs)
