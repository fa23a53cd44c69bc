"""The secrets that the simulated clouds generated, held in memory only: they must not be found anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rehearsal.simulator.core.values import find_strings

_SHORTEST = 8
"""Characters of a secret; a shorter one may occur in other text by chance."""

_SHORTEST_RESULT = 24
"""Characters of a secret in a function's result. The whole result is secret, but the names in it are shorter."""


class Canaries:
    """Secret values, each with a description such as `the result of RandomPassword database-password`.

    Threads may add to it concurrently.
    """

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Each value with its description."""
        return iter(list(self._owners.items()))

    def add(self, value: object, owner: str) -> None:
        """Add a generated value, unless it is not text, or is too short to be recognized in other text."""
        if isinstance(value, str) and len(value) >= _SHORTEST:
            self._owners.setdefault(value, owner)

    def add_result(self, values: Iterable[object], function: str) -> None:
        """Add the values that a cloud's function returned, all of them secret. `function` is its token."""
        for text in find_strings(list(values)):
            if len(text) >= _SHORTEST_RESULT:
                self.add(text, f"the result of {function}")
