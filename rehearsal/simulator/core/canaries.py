"""The secrets that the simulated clouds have generated, in memory alone: what must not be found anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rehearsal.simulator.core.values import find_strings

_SHORTEST = 8
"""Characters of a secret; a shorter one is in other texts by chance."""

_SHORTEST_RESULT = 24
"""Characters of what is secret in the result of a function, all of which is: names are shorter."""


class Canaries:
    """Values by what they are, as `the result of RandomPassword database-password`. Threads may add to it."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Each value with what it is."""
        return iter(list(self._owners.items()))

    def add(self, value: object, owner: str) -> None:
        """A generated value; what is no text, or too short to be told from others, is left out."""
        if isinstance(value, str) and len(value) >= _SHORTEST:
            self._owners.setdefault(value, owner)

    def add_result(self, values: Iterable[object], function: str) -> None:
        """What a function of a cloud has returned, all of which is secret, by the function's token."""
        for text in find_strings(list(values)):
            if len(text) >= _SHORTEST_RESULT:
                self.add(text, f"the result of {function}")
