"""Everything that a command needs before it starts: settings, engine, backend, credentials, account."""

from __future__ import annotations

from collections.abc import Sequence

from deploy import aws, azure
from deploy.cluster_access import check_way_in, find_source_address
from deploy.engine import Engine
from deploy.findings import Finding, Status, list_missing, missing, ok
from deploy.stack import Stack
from infra.core.settings import Cloud, Settings

_CLOUDS = {Cloud.AZURE: azure, Cloud.AWS: aws}


def check(stack: Stack, engine: Engine, *, for_deployment: bool) -> list[Finding]:
    """What is there and what is missing, all of it, in the order in which it is needed.

    for_deployment  also looks at the way into the cluster, and, for some seconds, at what a fresh account lacks
    """
    findings = [_check_settings(stack), engine.check_program()]
    if findings[-1].status is Status.OK:
        findings += engine.check_state(stack)
    if stack.cloud:
        findings += _CLOUDS[stack.cloud].check_programs(engine.programs)
    if stack.settings:
        findings += _check_cloud(stack.settings, engine, for_deployment=for_deployment)
    return findings


def _check_settings(stack: Stack) -> Finding:
    if stack.problem:
        return missing("settings", stack.problem, f"correct {stack.file.parent.name}/{stack.file.name}")
    return ok("settings", f"{stack.file.parent.name}/{stack.file.name}")


def _check_cloud(settings: Settings, engine: Engine, *, for_deployment: bool) -> Sequence[Finding]:
    cloud, programs = _CLOUDS[settings.cloud], engine.programs
    access = list(cloud.check_access(settings, programs, is_interactive=engine.is_interactive))
    if not for_deployment:
        return access
    account = cloud.check_account(settings, programs) if access and not list_missing(access) else ()
    return [*access, check_way_in(settings, find_source_address(settings)), *account]
