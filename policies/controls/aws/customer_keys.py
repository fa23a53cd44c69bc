"""Keys in AWS KMS that the account controls, unlike those that AWS creates for a service: `alias/aws/...`."""

from typing import Any

from kernel.paths import each_value
from kernel.values import UNKNOWN
from policies.engine.findings import Findings, Props


def expect_customer_key(props: Props, path: str, risk: str) -> Findings:
    """Require a customer-managed key at `path`. An unknown value is one of the stack's own keys, so it passes."""
    for where, key in each_value(props, path):
        if key is not UNKNOWN and not _is_customer_key(key):
            yield f"{where} must be a customer-managed key, otherwise {risk}"


def _is_customer_key(key: Any) -> bool:
    return isinstance(key, str) and key != "" and "alias/aws/" not in key
