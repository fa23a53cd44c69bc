"""Rules that a stack's settings must follow in addition to their types: rules between settings, and of its cloud."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import combinations

from infra.core.settings.alerting_rules import check_alerting
from infra.core.settings.clouds import Cloud
from infra.core.settings.defaults import DEDICATED_DATABASE_SIZES
from infra.core.settings.faults import Fault, find_close
from infra.core.settings.gateway_rules import check_gateway
from infra.core.settings.gitops_rules import check_gitops, check_gitops_path
from infra.core.settings.limits import (
    ADMINS,
    AUTHORIZED_RANGES,
    AWS_RETENTION_DAYS,
    AZURE_DATABASE_DISKS,
    AZURE_PODS_PREFIX_OF_A_NODE,
    AZURE_RESERVED_NAMES,
    AZURE_RETENTION_DAYS,
    AZURE_SYSTEM_POOL_PROCESSORS,
    DATABASE_SIZE_FORMS,
    GPU_SIZE_FORMS,
    HUBS,
    LOCATIONS,
    NODE_SIZE_FORMS,
    RESERVED_BLOCKS,
    SERVICE_PREFIXES,
    TRAINING_SIZE_FORMS,
)
from infra.core.settings.recovery_rules import check_second_location, check_standby
from infra.core.settings.retraining_rules import check_retraining
from infra.core.settings.stack_settings import Settings
from infra.core.settings.tag_rules import check_tags
from infra.core.settings.training_rules import check_training
from infra.core.settings.versions import KUBERNETES


def find_faults(settings: Settings, stack: str) -> Iterator[Fault]:
    """All rules that the settings of a stack break."""
    for rule in (
        _check_location,
        _check_organization,
        check_tags,
        _check_accounts,
        _check_ids,
        _check_network_size,
        _check_blocks,
        _check_pod_block,
        _check_kubernetes_version,
        _check_access_to_api,
        _check_pools,
        _check_sizes,
        _check_gpu_pool,
        _check_database,
        _check_retention,
        check_alerting,
        check_gitops,
        check_gateway,
        check_retraining,
        check_training,
        check_second_location,
        _check_sso,
    ):
        yield from rule(settings)
    yield from check_gitops_path(settings, stack)
    yield from check_standby(settings, stack)


def _check_location(settings: Settings) -> Iterator[Fault]:
    if settings.location not in LOCATIONS[settings.cloud]:
        other = next((cloud for cloud in Cloud if settings.location in LOCATIONS[cloud]), None)
        example = "westeurope" if settings.cloud is Cloud.AZURE else "eu-west-1"
        close = find_close(settings.location.replace(" ", ""), LOCATIONS[settings.cloud])
        yield Fault(
            "location",
            f"is a region of {other}, but cloud is {settings.cloud}"
            if other
            else f"is not a region of {settings.cloud} with three availability zones",
            (f"use {close}, if that is what you mean" if close else f"use a region such as {example}")
            + "; docs/settings.md lists them all",
            value=settings.location,
            others=("cloud",),
        )


def _check_organization(settings: Settings) -> Iterator[Fault]:
    if settings.cloud is Cloud.AZURE and re.fullmatch(AZURE_RESERVED_NAMES, settings.organization):
        yield Fault(
            "organization",
            "begins with or contains a word that Azure reserves in names",
            "use another one, without login, xbox, microsoft or windows",
            value=settings.organization,
        )


def _check_accounts(settings: Settings) -> Iterator[Fault]:
    foreign = {Cloud.AZURE: ("account",), Cloud.AWS: ("subscription", "tenant")}[settings.cloud]
    pinned_by = "account" if settings.cloud is Cloud.AWS else "subscription and tenant"
    for name in foreign:
        if value := getattr(settings, name):
            yield Fault(
                name,
                f"has no meaning on {settings.cloud}",
                f"remove it; deployments to {settings.cloud} are pinned by {pinned_by}",
                value=value,
            )


def _check_ids(settings: Settings) -> Iterator[Fault]:
    values = {f"cluster.admins[{index}]": (ADMINS, value) for index, value in enumerate(settings.cluster.admins)}
    if settings.network.hub:
        values["network.hub"] = (HUBS, settings.network.hub)
    for setting, (forms, value) in values.items():
        form, example = forms[settings.cloud]
        if not re.fullmatch(form, value):
            yield Fault(
                setting,
                f"does not have the form of such an ID on {settings.cloud}",
                f"write it like {example}",
                value=value,
            )


def _check_network_size(settings: Settings) -> Iterator[Fault]:
    cidr = ipaddress.IPv4Network(settings.network.cidr)
    if not 16 <= cidr.prefixlen <= 20:
        yield Fault(
            "network.cidr",
            "must be between /16 and /20: it contains the subnets of nodes, pods, private endpoints and databases in "
            "three zones",
            f"use {cidr.network_address}/16, if that is free"
            if cidr.prefixlen > 20
            else "use a block like 10.20.0.0/16",
            value=str(cidr),
        )
    services = ipaddress.IPv4Network(settings.network.service_cidr)
    shortest, longest = SERVICE_PREFIXES[settings.cloud]
    if not shortest <= services.prefixlen <= longest:
        yield Fault(
            "network.serviceCidr",
            f"must be between /{shortest} and /{longest} on {settings.cloud}",
            "use a block like 172.20.0.0/16",
            value=str(services),
        )


def _check_blocks(settings: Settings) -> Iterator[Fault]:
    network = settings.network
    blocks = {
        "network.cidr": ipaddress.IPv4Network(network.cidr),
        "network.podCidr": ipaddress.IPv4Network(network.pod_cidr),
        "network.serviceCidr": ipaddress.IPv4Network(network.service_cidr),
    }
    if settings.cloud is Cloud.AWS:  # where pods have addresses of the network
        del blocks["network.podCidr"]
    for first, second in combinations(blocks, 2):
        if blocks[first].overlaps(blocks[second]):
            yield Fault(
                first,
                f"overlaps {second.removeprefix('network.')} {blocks[second]}",
                "give each its own block, for instance 10.20.0.0/16, 10.244.0.0/16 and 172.20.0.0/16",
                value=str(blocks[first]),
                others=(second,),
            )
    service = {Cloud.AZURE: "AKS", Cloud.AWS: "AWS"}[settings.cloud]
    for setting, block in blocks.items():
        for reserved in RESERVED_BLOCKS[settings.cloud]:
            if block.overlaps(reserved):
                yield Fault(
                    setting,
                    f"overlaps {reserved}, which {service} reserves",
                    "use a block outside of it, for instance in 10.0.0.0/8",
                    value=str(block),
                )


def _check_pod_block(settings: Settings) -> Iterator[Fault]:
    if settings.cloud is not Cloud.AZURE:
        return
    block, pools = ipaddress.IPv4Network(settings.network.pod_cidr), settings.cluster.list_pools()
    room = 2 ** max(0, AZURE_PODS_PREFIX_OF_A_NODE - block.prefixlen) if block.prefixlen <= 24 else 0
    most = sum(pool.maximum for pool in pools.values())
    needed = most + len(pools)  # an upgrade adds a node to each pool
    if room < needed:
        prefix = AZURE_PODS_PREFIX_OF_A_NODE - (needed - 1).bit_length()
        yield Fault(
            "network.podCidr",
            f"has room for {room} nodes, each with a /{AZURE_PODS_PREFIX_OF_A_NODE}; the pools can have {most}, and an "
            f"upgrade adds {len(pools)}",
            f"use a /{prefix} or larger, or lower the pools' maximum",
            value=str(block),
            others=[f"cluster.{name}.maximum" for name in pools],
        )


def _check_kubernetes_version(settings: Settings) -> Iterator[Fault]:
    version, offer = settings.cluster.kubernetes_version, KUBERNETES[settings.cloud]
    if version not in offer.list_offered():
        calendar = offer.calendar
        end = calendar.ends.get(version)
        yield Fault(
            "cluster.kubernetesVersion",
            "is not offered: "
            + (
                f"its standard support on {calendar.service} ends on {end}"
                if end
                else f"{calendar.service} has no such version"
            ),
            f"use one of {', '.join(offer.list_offered())} ({calendar.source})",
            value=version,
        )


def _check_access_to_api(settings: Settings) -> Iterator[Fault]:
    cluster = settings.cluster
    if not cluster.authorized_ranges and not cluster.private_access_from:
        yield Fault(
            "cluster.authorizedRanges",
            "is empty, and so is privateAccessFrom: nobody could reach the Kubernetes API, through which the platform "
            "is installed",
            "set it to the public addresses of your runners and operators, which makes the API public to them only; or "
            "keep the API private, and set privateAccessFrom to the ranges of a network with a runner that is "
            "connected to this one, by network.hub or by your own VPN or peering",
            others=("cluster.privateAccessFrom",),
        )
    if cluster.authorized_ranges and cluster.private_access_from:
        yield Fault(
            "cluster.authorizedRanges",
            "makes the Kubernetes API public, but privateAccessFrom is for a private one",
            "remove one of the two",
            others=("cluster.privateAccessFrom",),
        )
    unrouted = {"podCidr": settings.network.pod_cidr, "serviceCidr": settings.network.service_cidr}
    if settings.cloud is Cloud.AWS:
        del unrouted["podCidr"]
    for index, block in enumerate(cluster.private_access_from):
        for name, other in unrouted.items():
            if ipaddress.IPv4Network(block).overlaps(ipaddress.IPv4Network(other)):
                yield Fault(
                    f"cluster.privateAccessFrom[{index}]",
                    f"overlaps network.{name} {other}, so responses would not leave the cluster",
                    f"set network.{name} to a block that no connected network uses",
                    value=block,
                    others=(f"network.{name}",),
                )
    limit = AUTHORIZED_RANGES[settings.cloud]
    if len(cluster.authorized_ranges) > limit:
        yield Fault(
            "cluster.authorizedRanges",
            f"has {len(cluster.authorized_ranges)} ranges, but {settings.cloud} allows at most {limit}",
            "combine ranges, or use a private API",
        )


def _check_pools(settings: Settings) -> Iterator[Fault]:
    pools = {"cluster.systemPool": settings.cluster.system_pool, "cluster.userPool": settings.cluster.user_pool}
    for setting, pool in pools.items():
        if pool.minimum > pool.maximum:
            yield Fault(
                f"{setting}.minimum",
                f"is above maximum {pool.maximum}",
                "raise the maximum or lower the minimum",
                value=pool.minimum,
                others=(f"{setting}.maximum",),
            )


def _check_sizes(settings: Settings) -> Iterator[Fault]:
    cluster, cloud = settings.cluster, settings.cloud
    for setting, size, forms in (
        ("cluster.systemPool.size", cluster.system_pool.size, NODE_SIZE_FORMS),
        ("cluster.userPool.size", cluster.user_pool.size, NODE_SIZE_FORMS),
        ("database.size", settings.database.size, DATABASE_SIZE_FORMS),
        ("training.size", settings.training.size, TRAINING_SIZE_FORMS),
    ):
        form, example = forms[cloud]
        if not re.fullmatch(form, size):
            yield Fault(
                setting,
                f"is not spelled like a size of {cloud}",
                f"write it like {example}, with upper and lower case as the cloud spells it",
                value=size,
                others=("cloud",),
            )
    form, example = NODE_SIZE_FORMS[Cloud.AZURE]
    machine = re.fullmatch(form, cluster.system_pool.size) if cloud is Cloud.AZURE else None
    if machine and (int(machine[1]) < AZURE_SYSTEM_POOL_PROCESSORS or "_B" in machine[0]):
        yield Fault(
            "cluster.systemPool.size",
            f"is too small for AKS, whose system pools need {AZURE_SYSTEM_POOL_PROCESSORS} or more processors that are "
            "not burstable",
            f"use a size such as {example}",
            value=cluster.system_pool.size,
        )


def _check_gpu_pool(settings: Settings) -> Iterator[Fault]:
    pool = settings.cluster.gpu_pool
    form, example = GPU_SIZE_FORMS[settings.cloud]
    if pool.size and not re.fullmatch(form, pool.size):
        yield Fault(
            "cluster.gpuPool.size",
            f"is not a size of {settings.cloud} with NVIDIA GPUs, which pods in this pool request",
            f"use a size such as {example}, or remove it for a cluster without GPUs",
            value=pool.size,
            others=("cloud",),
        )
    if not pool.size and "maximum" in pool.model_fields_set:
        yield Fault(
            "cluster.gpuPool.maximum",
            "has no meaning without cluster.gpuPool.size",
            f"set the size, such as {example}, or remove it",
            value=pool.maximum,
            others=("cluster.gpuPool.size",),
        )


def _check_database(settings: Settings) -> Iterator[Fault]:
    database = settings.database
    if settings.cloud is not Cloud.AZURE:
        return
    if database.storage_gb not in AZURE_DATABASE_DISKS:
        yield Fault(
            "database.storageGb",
            "is not a disk size of Azure Database for PostgreSQL",
            f"use one of {', '.join(map(str, AZURE_DATABASE_DISKS))}",
            value=database.storage_gb,
        )
    # Source: https://learn.microsoft.com/azure/reliability/reliability-postgresql-flexible-server
    if settings.resilience.multi_zone_database and "_B" in database.size:
        yield Fault(
            "database.size",
            "is burstable, and such servers cannot have a standby in a second zone (resilience.multiZoneDatabase)",
            f"use a size such as {DEDICATED_DATABASE_SIZES[settings.cloud]}, or set resilience.multiZoneDatabase to "
            "false",
            value=database.size,
            others=("resilience.multiZoneDatabase",),
        )


def _check_retention(settings: Settings) -> Iterator[Fault]:
    days = settings.telemetry.retention_days
    if settings.cloud is Cloud.AWS and days not in AWS_RETENTION_DAYS:
        longer = next(one for one in AWS_RETENTION_DAYS if one > days)
        yield Fault(
            "telemetry.retentionDays",
            f"is not a retention time of CloudWatch, which can be {', '.join(map(str, AWS_RETENTION_DAYS))} days",
            f"use {longer}",
            value=days,
        )
    if settings.cloud is Cloud.AZURE and days not in AZURE_RETENTION_DAYS:
        yield Fault(
            "telemetry.retentionDays",
            f"is longer than the retention of Log Analytics, which is at most {AZURE_RETENTION_DAYS[-1]} days",
            f"use a value from {AZURE_RETENTION_DAYS[0]} to {AZURE_RETENTION_DAYS[-1]}",
            value=days,
        )


def _check_sso(settings: Settings) -> Iterator[Fault]:
    sso = settings.sso
    needed = {
        "authorizationUrl": sso.authorization_url,
        "tokenUrl": sso.token_url,
        "keysUrl": sso.keys_url,
        "clientId": sso.client_id,
        "clientSecret": sso.client_secret,
        "adminGroup": sso.admin_group,
    }
    for name, value in needed.items():
        if sso.issuer and not value:
            yield Fault(
                f"sso.{name}",
                "is not set, but signing in at sso.issuer needs it",
                "set it, or remove sso.issuer to sign in with generated passwords",
                others=("sso.issuer",),
            )
        elif value and not sso.issuer:
            yield Fault(
                f"sso.{name}",
                "has no meaning without sso.issuer",
                "set the issuer, or remove it",
                value=value,
                others=("sso.issuer",),
            )
