"""Rules between the settings of alerting and of the budget, which sends alerts as well."""

from __future__ import annotations

from collections.abc import Iterator

from infra.core.settings.faults import Fault
from infra.core.settings.stack_settings import Settings


def check_alerting(settings: Settings) -> Iterator[Fault]:
    """E-mail needs a server and an address; signing in to the server needs a user and a password."""
    alerting, budget = settings.alerting, settings.cost.monthly_budget
    if budget and not settings.telemetry.alert_email:
        yield Fault(
            "cost.monthlyBudget",
            "has no recipient for its alerts: telemetry.alertEmail is not set",
            "set telemetry.alertEmail, or remove it",
            value=budget,
            others=("telemetry.alertEmail",),
        )
    if alerting.smtp_host and not settings.telemetry.alert_email:
        yield Fault(
            "alerting.smtpHost",
            "has no recipient for e-mail: telemetry.alertEmail is not set",
            "set telemetry.alertEmail, or remove it",
            value=alerting.smtp_host,
            others=("telemetry.alertEmail",),
        )
    for name, value, other in (
        ("smtpUser", alerting.smtp_user, "smtpPassword"),
        ("smtpPassword", alerting.smtp_password, "smtpUser"),
    ):
        if value and not alerting.smtp_host:
            yield Fault(
                f"alerting.{name}",
                "has no meaning without alerting.smtpHost",
                "set it, or remove this",
                value=value,
                others=("alerting.smtpHost",),
            )
        elif value and not (alerting.smtp_user and alerting.smtp_password):
            yield Fault(
                f"alerting.{name}",
                f"is set without alerting.{other}, but signing in to the mail server needs both",
                f"set alerting.{other} too, or remove it",
                value=value,
                others=(f"alerting.{other}",),
            )
