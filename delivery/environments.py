"""Lists stacks for workflows: by environment, in the order of deployment, and those that are backed up.

The order is dev, staging, prod, each only after all stacks of the previous one are deployed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from delivery.errors import DeliveryError
from delivery.stacks import find_stacks

ORDER = ("dev", "staging", "prod")


def order_stacks(folder: Path, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The named stacks, keyed by environment, each list in the order of `names`.

    Raises DeliveryError for a stack without a file, named twice, or without an environment in its file.
    """
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DeliveryError(f"These stacks are listed twice: {', '.join(repeated)}. List each once.")
    stacks = find_stacks(folder, names)
    for stack in stacks:
        if stack.environment not in ORDER:
            raise DeliveryError(
                f"stacks/Pulumi.{stack.name}.yaml has the environment '{stack.environment}', which has no place in the "
                f"order of deployments: set groundwork:environment to one of {', '.join(ORDER)}."
            )
    return {environment: [stack.name for stack in stacks if stack.environment == environment] for environment in ORDER}


def list_backed_up(folder: Path, names: Sequence[str]) -> Sequence[str]:
    """The named stacks that have a backup store. Raises DeliveryError for a stack without a file."""
    return [stack.name for stack in find_stacks(folder, names) if stack.is_backed_up]
