"""Names that the `aws` provider generates if a program sets none: the logical name and seven hexadecimal digits.

Source: https://github.com/pulumi/pulumi-terraform-bridge/blob/main/pkg/tfbridge/info/autonaming.go, and the types' own
rules in https://github.com/pulumi/pulumi-aws/blob/master/provider/resources.go
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.core.defaults import was_filled_in
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.naming import AutonamingMode
from rehearsal.simulator.core.resource_model import Default, ResourceRequest

_DIGITS = 7
_PREFIXED_DIGITS = 26  # https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/create/naming.go


def auto_named(
    path: str = "name",
    *,
    max_length: int = 255,
    separator: str = "-",
    prefix_path: str = "namePrefix",
    transform: Callable[[str], str] = str,
    complete: Callable[[ResourceRequest, str], str] = lambda _, name: name,
) -> Mapping[str, Default]:
    """The default of the input that names a resource.

    max_length   of the generated name; a logical name that is too long is an error
    separator    between the logical name and the digits
    prefix_path  the input that a program may set instead, to have only the rest generated; empty if there is none
    transform    is applied to the logical name
    complete     is applied to the generated name
    """

    def fill_name(request: ResourceRequest, old: Mapping[str, Any]) -> Any:
        prefix, before = request.get(prefix_path) if prefix_path else None, old.get(path)
        is_generated = before is not None and was_filled_in(old, path)
        if prefix is not None:
            return before if is_generated and str(before).startswith(str(prefix)) else _extend(request, prefix)
        if is_generated:
            return before
        mode = request.hints.mode
        if mode is AutonamingMode.DISABLE:
            raise CloudError("automatic naming is disabled but no explicit name was provided")
        if mode is AutonamingMode.ENFORCE:
            return request.hints.proposed
        if mode is AutonamingMode.PROPOSE:
            name = transform(request.hints.proposed)
            if len(name) > max_length:
                raise CloudError(f"calculated name '{name}' exceeds maximum length of {max_length}")
            return complete(request, name)
        start = transform(request.name) + separator
        if len(start) + _DIGITS > max_length:
            raise CloudError(
                f"could not make instance of '{request.type}': name '{start}' plus {_DIGITS} random chars is longer "
                f"than maximum length {max_length}"
            )
        return complete(request, start + _make_digits(request, _DIGITS))

    return {path: fill_name}


def _extend(request: ResourceRequest, prefix: Any) -> Any:
    # The real provider generates this name when it creates the resource; a preview does not know it yet.
    return UNKNOWN if prefix is UNKNOWN else f"{prefix}{_make_digits(request, _PREFIXED_DIGITS)}"


def _make_digits(request: ResourceRequest, count: int) -> str:
    return request.hints.hex(count, otherwise=request.hex(count, "name"))
