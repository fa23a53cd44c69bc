"""Names that a provider generates if the program sets none.

Source: https://www.pulumi.com/docs/iac/concepts/resources/names/#autonaming and
https://github.com/pulumi/pulumi/blob/master/pkg/resource/autonaming/strategy.go
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final


class AutonamingMode(Enum):
    """What a provider does with the proposed name; the values are those of the provider protocol."""

    PROPOSE = 0  # use it, adapted to the type
    ENFORCE = 1  # use it as it is
    DISABLE = 2  # generate no name: the program has to set one


@dataclass(frozen=True)
class NamingHints:
    """The engine's hints for a provider that generates a name.

    seed      random bytes; without them names are the same in every run
    mode      as set by `pulumi:autonaming` in the settings; None if they leave names to the provider
    proposed  the name that the settings propose or enforce
    """

    seed: bytes = b""
    mode: AutonamingMode | None = None
    proposed: str = ""

    @classmethod
    def from_check(cls, request: Any) -> NamingHints:
        """The hints in the provider protocol's CheckRequest."""
        if not request.HasField("autonaming"):
            return cls(request.randomSeed)
        options = request.autonaming
        return cls(request.randomSeed, AutonamingMode(options.mode), options.proposed_name)

    def hex(self, length: int, otherwise: str) -> str:
        """Hexadecimal digits, at most 64, from the seed, or from the text `otherwise` if there is no seed."""
        return hashlib.sha256(self.seed or otherwise.encode()).hexdigest()[:length]


NO_HINTS: Final = NamingHints()
