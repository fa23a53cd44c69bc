"""Shell scripts that replace the programs that sign in to clouds, for a folder at the beginning of PATH."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.support.azure_manager_server import SUBSCRIPTION, TENANT

ACCOUNT = "111122223333"

AWS = f"""
case "$1" in
sts) echo '{{"Arn": "arn:aws:iam::{ACCOUNT}:user/ada", "Account": "{ACCOUNT}"}}' ;;
ec2) echo '{{"InstanceTypes": [{{"VCpuInfo": {{"DefaultVCpus": 4}}}}], "Addresses": [], "Vpcs": []}}' ;;
service-quotas) echo '{{"Quota": {{"Value": 100.0}}}}' ;;
*) exit 2 ;;
esac
"""


def azure_programs(manager: str) -> Mapping[str, str]:
    """`az` and `kubelogin` for a person who has signed in; `manager` is the URL of Azure Resource Manager."""
    az = f"""
case "$1 $2" in
"account show") echo '{{"id": "{SUBSCRIPTION}", "tenantId": "{TENANT}", "user": {{"name": "ada"}}}}' ;;
"account get-access-token") echo '{{"accessToken": "token"}}' ;;
"cloud show") echo '{{"endpoints": {{"resourceManager": "{manager}"}}}}' ;;
*) exit 2 ;;
esac
"""
    return {"az": az, "kubelogin": "echo '{}'\n"}


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)
