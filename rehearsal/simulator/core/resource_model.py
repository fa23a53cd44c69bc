"""How a cloud's resource type is modelled: one declarative entry each.

An entry says how the resource is identified, what the cloud fills in, which changes replace it, and what the
cloud refuses. A type without an entry is an error, never an echo.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from rehearsal.simulator.core.values import UNKNOWN, look_up


class Refusal(Exception):
    """What a cloud answers to a request it does not carry out, in its own words where they are known."""


class Existing(Protocol):
    """A resource that the simulated cloud has."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def inputs(self) -> Mapping[str, Any]: ...
    @property
    def outputs(self) -> Mapping[str, Any]: ...


class World(Protocol):
    """All that the simulated cloud has, as rules and outputs may ask it."""

    def find(self, reference: str) -> Existing | None:
        """The resource with this ID or ARN; Azure's IDs compare without case."""

    def all(self, type_: str) -> Iterable[Existing]:
        """Every resource of one type."""


@dataclass(frozen=True)
class Draft:
    """A resource as asked for: what rules judge and outputs are made from."""

    type: str
    urn: str
    inputs: Mapping[str, Any]
    world: World
    facts: Mapping[str, str]  # what the provider was configured with, and the account it stands for
    generation: int = 0  # how often this URN has been created: a replacement gets another ID
    id: str = ""  # empty until created

    @property
    def name(self) -> str:
        """Pulumi's logical name."""
        return self.urn.rsplit("::", 1)[-1]

    def get(self, path: str, default: Any = None) -> Any:
        """The input at a dotted path: `default` where absent, UNKNOWN where a preview does not know it."""
        value = look_up(self.inputs, path)
        return default if value is None else value

    def hex(self, length: int, salt: str = "") -> str:
        """Hexadecimal digits that are the same for the same resource in every run."""
        return hashlib.sha512(f"{self.urn}#{self.generation}#{salt}".encode()).hexdigest()[:length]

    def uuid(self, salt: str = "") -> str:
        digits = self.hex(32, salt)
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"

    def fill(self, template: str) -> str:
        """Fill `{path}` from facts and inputs, `{id}`, `{uuid}`, and `{hex:8}` with eight digits."""
        return _Template(self).format(template)


class _Template(string.Formatter):
    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> tuple[Any, str]:  # noqa: ARG002 its signature
        draft = self._draft
        special: dict[str, Callable[[], Any]] = {
            "id": lambda: draft.id,
            "uuid": draft.uuid,
            "hex": lambda: draft.hex,
        }
        if field_name in special:
            return special[field_name](), field_name
        value = draft.facts.get(field_name, draft.get(field_name))
        if value is None or value is UNKNOWN:
            raise KeyError(f"{draft.type}: the template needs '{field_name}', which {draft.name} does not have")
        return value, field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        return str(value(int(format_spec))) if callable(value) else str(super().format_field(value, format_spec))


Made = str | Callable[[Draft], Any]
Rule = Callable[[Draft], str | None]


@dataclass(frozen=True)
class Model:
    """One resource type.

    type      Pulumi's type token, without an API version
    id        template or function of the draft; unique in the cloud
    named     dotted path of the explicit name where the ID is not made of it: a replacement that keeps this name
              deletes first, as one that keeps its ID does
    outputs   what the cloud fills in beside the inputs: property -> template or function. A preview that
              creates the resource does not know them
    required  dotted paths the cloud will not do without
    replaces  dotted paths whose change replaces the resource
    rules     judged on the inputs alone, so in previews too; must let UNKNOWN pass
    live      judged against what exists, when the resource is really created or updated
    keeps     judged against what exists, when the resource is deleted: a reason not to
    secrets   outputs that are secret
    """

    type: str
    id: Made
    named: str = ""
    outputs: Mapping[str, Made] = field(default_factory=dict)
    required: Collection[str] = ()
    replaces: Collection[str] = ()
    rules: Collection[Rule] = ()
    live: Collection[Rule] = ()
    keeps: Collection[Rule] = ()
    secrets: Collection[str] = ()


def make(made: Made, draft: Draft) -> Any:
    return draft.fill(made) if isinstance(made, str) else made(draft)


# Rules that many types share. Each takes the cloud's words for its refusal; `{value}` in them is the value.


def matches(path: str, pattern: str, words: str) -> Rule:
    """The string at `path`, where there is one, matches `pattern` as a whole."""
    compiled = re.compile(pattern)

    def rule(draft: Draft) -> str | None:
        value = draft.get(path, UNKNOWN)
        return None if value is UNKNOWN or compiled.fullmatch(str(value)) else words.format(value=value)

    return rule


def one_of(path: str, allowed: Collection[Any], words: str) -> Rule:
    """The value at `path`, where there is one, is among `allowed`."""

    def rule(draft: Draft) -> str | None:
        value = draft.get(path, UNKNOWN)
        return None if value is UNKNOWN or value in allowed else words.format(value=value)

    return rule


def within(path: str, low: int, high: int, words: str) -> Rule:
    """The number at `path`, where there is one, lies between two bounds, both included."""

    def rule(draft: Draft) -> str | None:
        value = draft.get(path, UNKNOWN)
        return None if value is UNKNOWN or low <= value <= high else words.format(value=value)

    return rule


def unless(broken: Callable[[Draft], bool], words: str) -> Rule:
    """Refuse with `words` when `broken` says so; templates in the words are filled from the draft."""

    def rule(draft: Draft) -> str | None:
        return draft.fill(words) if broken(draft) else None

    return rule


Invoke = Callable[[Mapping[str, Any], World, Mapping[str, str]], Mapping[str, Any]]


class Cloud(Protocol):
    """A simulated provider: its types, its functions, and what its references look like."""

    @property
    def name(self) -> str:
        """The Pulumi package: `aws`, `azure-native`, `kubernetes`, `random`."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What is true of the simulated account."""

    @property
    def invokes(self) -> Mapping[str, Invoke]:
        """Functions by token."""

    @property
    def secret_invokes(self) -> Collection[str]:
        """Tokens of functions whose whole result is secret."""

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:
        """Facts from the provider's configuration; raises Refusal where the real one would."""

    def model(self, type_: str) -> Model | None:
        """The entry for a type token, None when it is not modelled."""

    def missing(self, draft: Draft, value: str) -> str | None:
        """The cloud's refusal when `value` refers to something of this cloud that does not exist."""
