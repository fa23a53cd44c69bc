"""Everything that a command needs before it starts: settings, engine, backend, credentials, account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from deploy import aws, azure
from deploy.cluster_access import check_way_in, find_source_address
from deploy.engine import LOG_IN, Engine
from deploy.findings import Finding, Status, missing, note, ok
from deploy.stack import Stack
from infra.core.settings import Cloud, Settings
from infra.core.settings.catalogue import NAMESPACE
from infra.core.settings.limits import EXAMPLE_HOSTS

PLACEHOLDER_DIGEST = f"sha256:{'0' * 64}"
_CLOUDS = {Cloud.AZURE: azure, Cloud.AWS: aws}


def check(stack: Stack, engine: Engine, *, for_deployment: bool) -> list[Finding]:
    """Everything that is present and missing, in the order in which it is needed.

    for_deployment  also checks the way into the cluster and, which takes some seconds, what a fresh account lacks
    """
    program = engine.check_program()
    findings = [*check_offline(stack), program, *engine.check_attachment()]
    if program.status is Status.OK:
        findings += engine.check_state(stack)
    else:
        findings.append(note("backend", "only `pulumi` can tell whether it can be used", LOG_IN))
    if stack.cloud:
        findings += _CLOUDS[stack.cloud].check_programs(engine.programs)
    if stack.settings:
        findings += _check_cloud(stack.name, stack.settings, engine, for_deployment=for_deployment)
    return findings


def check_offline(stack: Stack) -> Iterator[Finding]:
    """Check what can be checked from the stack's file only."""
    yield _check_settings(stack)
    yield from check_images(stack)


def _check_settings(stack: Stack) -> Finding:
    if stack.problem:
        return missing("settings", stack.problem)
    return ok("settings", f"{stack.file.parent.name}/{stack.file.name}")


def check_images(stack: Stack) -> Iterator[Finding]:
    """Refuse the placeholder digest of the shipped stacks: a rehearsal accepts it, a real node could never pull it."""
    images = stack.settings.images.model_dump() if stack.settings else {}
    for name in (name for name, value in images.items() if value == PLACEHOLDER_DIGEST):
        yield missing(
            "images",
            f"{NAMESPACE}:images.{name} is a placeholder, which no registry has",
            "set the digest of your image, or remove the setting until the first deployment has created the registry",
        )


def _check_cloud(stack: str, settings: Settings, engine: Engine, *, for_deployment: bool) -> Iterator[Finding]:
    cloud, programs = _CLOUDS[settings.cloud], engine.programs
    if not settings.gitops.repository:
        yield note(
            "models",
            "Argo CD is installed with nothing to deploy: gitops.repository is not set",
            "push a copy of platform/gitops to your own repository and set its URL",
        )
    if for_deployment:
        yield check_way_in(settings, find_source_address(settings))
        yield from _check_example_hosts(settings)
    interactive = engine.is_interactive
    yield from cloud.check(settings, programs, stack=stack, is_interactive=interactive, for_deployment=for_deployment)


def _check_example_hosts(settings: Settings) -> Iterator[Finding]:
    """Note settings that still name an example host, which does not exist."""
    hosts = {
        "telemetry.alertEmail": settings.telemetry.alert_email.rpartition("@")[2],
        "gitops.repository": urlsplit(settings.gitops.repository).hostname or "",
    }
    for setting, host in hosts.items():
        if re.fullmatch(EXAMPLE_HOSTS, host):
            yield note("example", f"{setting} names {host}, which is an example host", "set your own, or remove it")
