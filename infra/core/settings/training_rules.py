"""The rule between the settings of the managed training service."""

from __future__ import annotations

from collections.abc import Iterator

from infra.core.settings.clouds import Cloud
from infra.core.settings.faults import Fault
from infra.core.settings.stack_settings import Settings


def check_training(settings: Settings) -> Iterator[Fault]:
    """Only Azure ML has a list of hosts, and Azure's own stores cannot be in it."""
    hosts = settings.training.outbound_hosts
    if hosts and settings.cloud is not Cloud.AZURE:
        yield Fault(
            "training.outboundHosts",
            f"has no meaning on {settings.cloud}, where jobs reach all hosts on port 443",
            "remove it",
            value=list(hosts),
            others=("cloud",),
        )
    for index, host in enumerate(hosts):
        # Source: https://learn.microsoft.com/azure/machine-learning/how-to-managed-network#limitations
        if host.endswith(".core.windows.net"):
            yield Fault(
                f"training.outboundHosts[{index}]",
                "is a host of Azure Storage, which jobs reach only through private endpoints",
                "remove it; jobs reach the stack's artifact store without it",
                value=host,
            )
