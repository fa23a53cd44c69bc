"""Rules for the gateway's certificate."""

from __future__ import annotations

from collections.abc import Iterator

from infra.core.settings.faults import Fault
from infra.core.settings.stack_settings import Settings


def check_gateway(settings: Settings) -> Iterator[Fault]:
    """An ACME server needs a domain, and settings that the stack's own certificate authority does not use."""
    gateway = settings.gateway
    is_acme = gateway.issuer == "acme"
    of_acme = {
        "acmeServer": gateway.acme_server,
        "acmeEmail": gateway.acme_email,
        "acmeHosts": gateway.acme_hosts,
    }
    for name, value in {"domain": gateway.domain, **of_acme}.items():
        if is_acme and not value:
            yield Fault(
                f"gateway.{name}",
                "is not set, and an ACME server issues no certificate without it (gateway.issuer)",
                "set it, or set gateway.issuer to self-signed",
                others=("gateway.issuer",),
            )
        elif value and not is_acme and name in of_acme:
            yield Fault(
                f"gateway.{name}",
                "has no meaning unless gateway.issuer is acme",
                "set gateway.issuer to acme, or remove it",
                value=list(value) if isinstance(value, tuple) else value,
                others=("gateway.issuer",),
            )
