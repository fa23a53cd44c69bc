"""Creates the store of states and backups before any stack: a bucket or container, and the key that encrypts secrets.

It looks first, reports what is missing, and creates only that. Something that exists but differs is never changed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.errors import DeployError
from deploy.findings import missing, ok, render
from deploy.programs import Programs
from infra.core.settings import Cloud
from infra.core.settings.limits import LOCATIONS
from operations import bootstrap_aws, bootstrap_azure
from operations.cloud_cli import CloudCli, Part

_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])")
_AZBLOB = re.compile(r"azblob://([a-z0-9][a-z0-9-]{2,62})\?storage_account=([a-z0-9]{3,24})")
_FORMS = "s3://<bucket>, azblob://<container>?storage_account=<account>, or https://api.pulumi.com for Pulumi Cloud"


@dataclass(frozen=True)
class Plan:
    """
    cloud       the cloud to whose regions LOCATION belongs
    list_parts  lists the parts in the order in which they are created
    next        what people do afterwards
    """

    cloud: Cloud
    list_parts: Callable[[CloudCli], Sequence[Part]]
    next: str


def run(backend: str, location: str, *, is_confirmed: bool) -> int:
    """Report what exists and what will be created, and create it if that is confirmed; returns an exit code.

    Raises DeployError for another form of backend, and if something exists that differs.
    """
    if backend.startswith("https://"):
        print(
            f"{backend} stores states and encrypts their secrets itself: there is nothing to create. Run `pulumi login "
            f"{backend}`, and set groundwork:resilience.backupStore to your own bucket or container."
        )
        return 0
    plan = _find_plan(backend, location)
    if location not in LOCATIONS[plan.cloud]:
        raise DeployError(
            f"LOCATION={location} is not a region of {plan.cloud} in which stacks can be. Spell it as the cloud does."
        )
    cli = CloudCli(Programs(os.environ))
    parts = plan.list_parts(cli)
    states = {part.name: part.find() for part in parts}
    absent = [part for part in parts if not states[part.name].is_there]
    findings = [
        missing(part.name, f"will be created: {part.description}")
        if part in absent
        else ok(part.name, states[part.name].description or part.description)
        for part in parts
    ]
    print(f"{backend} in {location}:\n{render(findings)}", flush=True)
    if faults := [f"{part.name}: {states[part.name].fault}" for part in parts if states[part.name].fault]:
        raise DeployError(
            f"What exists differs, and nothing has been changed: {'; '.join(faults)}. Change it by hand if it is "
            "yours and may be changed, or choose another name in BACKEND."
        )
    if not absent:
        print("Everything exists already.")
    elif not _is_agreed(is_confirmed):
        print(f"Nothing has been created. `make bootstrap BACKEND='{backend}' LOCATION={location} YES=1` creates it.")
        return 0
    for part in absent:
        print(f"  creating {part.name} ...", file=sys.stderr, flush=True)
        part.create()
    print(plan.next)
    return 0


def _find_plan(backend: str, location: str) -> Plan:
    if found := _S3.fullmatch(backend):
        bucket = found[1]
        return Plan(
            Cloud.AWS,
            lambda cli: bootstrap_aws.list_parts(cli, bucket, location),
            f"Next: export PULUMI_BACKEND_URL='{backend}?region={location}'; in each stack's file `secretsprovider: "
            f"awskms://alias/{bucket}?region={location}` and `groundwork:resilience: {{backupStore: "
            f"{backend}/backups}}`. Pulumi locks a state with a file beside it.",
        )
    if found := _AZBLOB.fullmatch(backend):
        container, account = found[1], found[2]
        store = f"https://{account}.blob.core.windows.net/{container}/backups"
        return Plan(
            Cloud.AZURE,
            lambda cli: bootstrap_azure.list_parts(cli, container, account, location),
            f"Next: export PULUMI_BACKEND_URL='{backend}'; in each stack's file `secretsprovider: "
            f"azurekeyvault://{bootstrap_azure.vault_name(account)}.vault.azure.net/keys/{bootstrap_azure.KEY}` and "
            f"`groundwork:resilience: {{backupStore: {store}}}`. Pulumi locks a state with a file beside it.",
        )
    raise DeployError(f"BACKEND={backend or 'nothing'} is not a backend for states: it has to be {_FORMS}.")


def _is_agreed(is_confirmed: bool) -> bool:
    if is_confirmed or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return is_confirmed
    return input("Create it? [y/N] ").strip().lower() in ("y", "yes")
