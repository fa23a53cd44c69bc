"""Resources that a cloud changes only one at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OneWriter:
    """The cloud refuses a change of a resource while another one in the same parent is changed.

    kind     the parent's kind in the IDs of what it contains, such as `virtualNetworks`. Types with the same kind of
             parent exclude each other
    message  the cloud's error, in which `{parent}` is the parent's name
    """

    kind: str
    message: str

    def find_parent(self, id_: str) -> str:
        """The ID, in lower case, of the parent of the resource with this ID. Raises ValueError if it has none."""
        before, kind, after = id_.lower().partition(f"/{self.kind.lower()}/")
        if not kind:
            raise ValueError(f"{id_} is not in one of the {self.kind}")
        return f"{before}{kind}{after.partition('/')[0]}"

    def describe(self, id_: str) -> str:
        """The cloud's error about the resource with this ID."""
        return self.message.format(parent=self.find_parent(id_).rpartition("/")[2])
