"""Checks what a deployment to AWS needs: the AWS CLI, an identity, the right account, and what a fresh account lacks.

The AWS CLI answers all of these questions. The kubeconfig calls it for every token, and it finds credentials where
the AWS provider does: profiles and SSO, variables, web identity, roles of containers and instances.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.findings import Finding, missing, note, ok
from deploy.programs import Programs
from infra.core.naming import Naming
from infra.core.settings import Settings
from kernel.service_quotas import ADDRESSES, VPCS, ServiceQuota, find_instance_quota

_INSTALL_URL = "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
_SIGN_IN = (
    "sign in with `aws sso login` and set AWS_PROFILE, or run in a place that provides a role: CI with OIDC "
    "(AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE), an instance, a container or CodeBuild"
)

_ZONES = 3  # of a stack


class _RefusedError(Exception):
    """A request that AWS did not answer; the message is the CLI's."""


@dataclass(frozen=True)
class _Cli:
    """The AWS CLI, in the stack's region."""

    programs: Programs
    region: str

    def ask(self, *arguments: str) -> Any:
        """The answer to a request. Raises _RefusedError."""
        answer = self.programs.ask("aws", *arguments, "--region", self.region, "--output", "json")
        if answer.code:
            raise _RefusedError(answer.reason)
        return json.loads(answer.output)


def check_programs(programs: Programs) -> Iterator[Finding]:
    """The AWS CLI."""
    if program := programs.find("aws"):
        yield ok("aws", program)
    else:
        yield missing(
            "aws",
            "`aws` is not on PATH; the kubeconfig calls it for tokens, and it reports whose credentials are used",
            f"install the AWS CLI: {_INSTALL_URL}",
        )


def check(
    settings: Settings,
    programs: Programs,
    *,
    stack: str,
    is_interactive: bool,  # noqa: ARG001 the AWS CLI does not prompt
    for_deployment: bool,
) -> Iterator[Finding]:
    """Check whose credentials the AWS CLI uses; for a deployment also what the account lacks for this stack."""
    if not programs.find("aws"):
        yield note("credentials", "only `aws` can tell whose they are", _SIGN_IN)
        return
    cli = _Cli(programs, settings.location)
    try:
        caller = cli.ask("sts", "get-caller-identity")
    except _RefusedError as error:
        yield missing("credentials", f"AWS did not accept them: {error}", _SIGN_IN)
        return
    yield ok("credentials", caller["Arn"])
    if settings.account and settings.account != caller["Account"]:
        yield missing(
            "account",
            f"the credentials belong to account {caller['Account']}, but groundwork:account is {settings.account}",
            "sign in to that account, or correct the setting",
        )
        return
    yield ok("account", f"{caller['Account']}{'' if settings.account else ', which no setting requires'}")
    if for_deployment:
        yield from _check_nodes(cli, settings)
        yield from _check_network(cli, settings, Naming(settings, stack).owner_tags)


def _check_nodes(cli: _Cli, settings: Settings) -> Iterator[Finding]:
    """Check that the region offers the node sizes, and that the quota allows the minimum number of nodes."""
    pools = settings.cluster.list_pools()
    sizes = sorted({pool.size for pool in pools.values()})
    offered: dict[str, int] = {}
    for size in sizes:
        setting = " and ".join(f"cluster.{name}.size" for name, pool in pools.items() if pool.size == size)
        try:
            offered[size] = _find_vcpus(cli, size)
        except _RefusedError as error:
            if "InvalidInstanceType" in str(error):
                yield missing(
                    "node size", f"{setting} {size} is not offered in {settings.location}", "choose another size"
                )
            else:
                yield note("node size", f"{size} could not be looked up: {error}")
    least, most = Counter[ServiceQuota](), Counter[ServiceQuota]()
    for pool in pools.values():
        if pool.size in offered and (quota := find_instance_quota(pool.size)):
            least[quota] += pool.minimum * offered[pool.size]
            most[quota] += pool.maximum * offered[pool.size]
    for quota in least:
        yield _check_quota(cli, quota, least[quota], most[quota])


def _find_vcpus(cli: _Cli, size: str) -> int:
    described: Mapping[str, Sequence[Any]] = cli.ask("ec2", "describe-instance-types", "--instance-types", size)
    return int(described["InstanceTypes"][0]["VCpuInfo"]["DefaultVCpus"])


def _check_quota(cli: _Cli, quota: ServiceQuota, least: int, most: int) -> Finding:
    name, code = quota.name, quota.code
    try:
        limit = _find_limit(cli, "ec2", quota)
    except _RefusedError as error:
        return note("quota", f"{name} ({code}) could not be looked up: {error}")
    if limit >= most:
        return ok("quota", f"{name}: {limit} vCPU; the node pools need {least} to {most}")
    text = f"{name} ({code}) is {limit} vCPU in the region, and the node pools need {least} to {most}"
    remedy = _describe_request(cli, "ec2", quota, most)
    return missing("quota", text, remedy) if limit < least else note("quota", text, remedy)


def _find_limit(cli: _Cli, service: str, quota: ServiceQuota) -> int:
    options = ("--service-code", service, "--quota-code", quota.code)
    return int(cli.ask("service-quotas", "get-service-quota", *options)["Quota"]["Value"])


def _describe_request(cli: _Cli, service: str, quota: ServiceQuota, value: int) -> str:
    options = f"--service-code {service} --quota-code {quota.code} --desired-value {value} --region {cli.region}"
    return f"request an increase: `aws service-quotas request-service-quota-increase {options}`"


def _check_network(cli: _Cli, settings: Settings, own: Mapping[str, str]) -> Iterator[Finding]:
    """Check quotas of scarce resources of a region. `own` are the tags of those that the stack already has."""
    gateways = _ZONES if settings.resilience.nat_gateway_per_zone else 1
    yield _check_count(cli, ("ec2", ADDRESSES), ("describe-addresses", "Addresses"), gateways, own)
    yield _check_count(cli, ("vpc", VPCS), ("describe-vpcs", "Vpcs"), 1, own)


def _check_count(
    cli: _Cli, quota: tuple[str, ServiceQuota], listing: tuple[str, str], need: int, own: Mapping[str, str]
) -> Finding:
    """Compare a quota with what the stack needs in addition to what the account already uses.

    quota    the AWS service that the quota belongs to, and the quota
    listing  the EC2 command that lists the existing resources, and the key of the list in its answer
    """
    service, limited = quota
    try:
        found = cli.ask("ec2", listing[0])[listing[1]]
        limit = _find_limit(cli, service, limited)
    except _RefusedError as error:
        return note("quota", f"{limited.name} ({limited.code}) could not be looked up: {error}")
    others = sum(not own.items() <= _read_tags(each).items() for each in found)
    text = f"{limited.name}: the stack needs {need}, others in {cli.region} have {others}, and the quota is {limit}"
    if others + need <= limit:
        return ok("quota", text)
    return missing("quota", text, f"{_describe_request(cli, service, limited, others + need)}, or release some")


def _read_tags(resource: Mapping[str, Any]) -> Mapping[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", ())}
