"""What a deployment to a real cloud needs of the machine that it runs on."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

_INSTALL_URL = "https://www.pulumi.com/docs/install/"


def find_missing(stack: str, environment: Mapping[str, str]) -> list[str]:
    """What `stack` needs and `environment` does not provide, each with its remedy; empty when all is there."""
    checks = [_check_backend(environment), _check_pulumi(environment)]
    if stack.startswith("azure-"):
        checks.append(_check_azure(environment))
    if stack.startswith("aws-"):
        checks.append(_check_aws(environment))
    return [problem for problem in checks if problem]


def _check_backend(environment: Mapping[str, str]) -> str:
    home = Path(environment.get("PULUMI_HOME", Path.home() / ".pulumi"))
    if environment.get("PULUMI_ACCESS_TOKEN") or environment.get("PULUMI_BACKEND_URL"):
        return ""
    if (home / "credentials.json").exists():
        return ""
    return "a backend for the state: run `pulumi login`, or set PULUMI_ACCESS_TOKEN or PULUMI_BACKEND_URL"


def _check_pulumi(environment: Mapping[str, str]) -> str:
    """An engine older than the SDK may not know what the SDK sends it."""
    minimum = version("pulumi")
    program = shutil.which("pulumi", path=environment.get("PATH"))
    if program is None:
        return (
            f"an installed Pulumi with its Python language host, {minimum} or later: {_INSTALL_URL} "
            "(the rehearsal's own build has no plugins for real clouds)"
        )
    output = subprocess.run([program, "version"], capture_output=True, text=True, check=False).stdout.strip()
    if _parse_version(output) < _parse_version(minimum):
        return (
            f"a newer Pulumi: {program} reports version '{output}', and the SDK needs {minimum} or later: "
            f"{_INSTALL_URL}"
        )
    return ""


def _parse_version(text: str) -> tuple[int, ...]:
    """The numbers of `v3.255.0` or `3.255.0`; empty when the text holds no version."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else ()


def _check_azure(environment: Mapping[str, str]) -> str:
    subject = all(environment.get(key) for key in ("ARM_CLIENT_ID", "ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID"))
    proof = bool(environment.get("ARM_USE_OIDC") or environment.get("ARM_CLIENT_SECRET"))
    profile = Path(environment.get("AZURE_CONFIG_DIR", Path.home() / ".azure")) / "azureProfile.json"
    if (subject and proof) or profile.exists():
        return ""
    return (
        "credentials for Azure: run `az login`, or set ARM_CLIENT_ID, ARM_TENANT_ID and ARM_SUBSCRIPTION_ID with "
        "ARM_USE_OIDC=true or ARM_CLIENT_SECRET"
    )


def _check_aws(environment: Mapping[str, str]) -> str:
    pairs = (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"))
    if environment.get("AWS_PROFILE") or any(all(environment.get(key) for key in pair) for pair in pairs):
        return ""
    return (
        "credentials for AWS: run `aws sso login` and set AWS_PROFILE, or set AWS_ROLE_ARN with "
        "AWS_WEB_IDENTITY_TOKEN_FILE, or AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY"
    )
