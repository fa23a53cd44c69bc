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


class Resource(Protocol):
    """A resource that the simulated cloud has."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def inputs(self) -> Mapping[str, Any]: ...
    @property
    def outputs(self) -> Mapping[str, Any]: ...


class StateReader(Protocol):
    """All that the simulated cloud has, as rules and outputs may ask it."""

    def find(self, reference: str) -> Resource | None:
        """The resource with this ID or ARN; Azure's IDs compare without case."""

    def all(self, type_: str) -> Iterable[Resource]:
        """Every resource of one type."""


@dataclass(frozen=True)
class ResourceRequest:
    """A resource as asked for: what rules judge and outputs are made from."""

    type: str
    urn: str
    inputs: Mapping[str, Any]
    state: StateReader
    account: Mapping[str, str]  # what the provider was configured with, and the account it stands for
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
        """Fill `{path}` from account and inputs, `{id}`, `{uuid}`, and `{hex:8}` with eight digits."""
        return _TemplateFormatter(self).format(template)


class _TemplateFormatter(string.Formatter):
    def __init__(self, request: ResourceRequest) -> None:
        self._request = request

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> tuple[Any, str]:  # noqa: ARG002 its signature
        request = self._request
        special: dict[str, Callable[[], Any]] = {
            "id": lambda: request.id,
            "uuid": request.uuid,
            "hex": lambda: request.hex,
        }
        if field_name in special:
            return special[field_name](), field_name
        value = request.account.get(field_name, request.get(field_name))
        if value is None or value is UNKNOWN:
            raise KeyError(f"{request.type}: the template needs '{field_name}', which {request.name} does not have")
        return value, field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        return str(value(int(format_spec))) if callable(value) else str(super().format_field(value, format_spec))


Template = str | Callable[[ResourceRequest], Any]
Rule = Callable[[ResourceRequest], str | None]


@dataclass(frozen=True)
class ResourceModel:
    """One resource type.

    type      Pulumi's type token, without an API version
    id        template or function of the request; unique in the cloud
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
    id: Template
    name_path: str = ""
    outputs: Mapping[str, Template] = field(default_factory=dict)
    required: Collection[str] = ()
    replace_on_changes: Collection[str] = ()
    rules: Collection[Rule] = ()
    state_rules: Collection[Rule] = ()
    delete_rules: Collection[Rule] = ()
    secrets: Collection[str] = ()


def render_template(made: Template, request: ResourceRequest) -> Any:
    return request.fill(made) if isinstance(made, str) else made(request)


# Rules that many types share. Each takes the cloud's words for its refusal; `{value}` in them is the value.


def matches(path: str, pattern: str, words: str) -> Rule:
    """The string at `path`, where there is one, matches `pattern` as a whole."""
    compiled = re.compile(pattern)

    def rule(request: ResourceRequest) -> str | None:
        value = request.get(path, UNKNOWN)
        return None if value is UNKNOWN or compiled.fullmatch(str(value)) else words.format(value=value)

    return rule


def one_of(path: str, allowed: Collection[Any], words: str) -> Rule:
    """The value at `path`, where there is one, is among `allowed`."""

    def rule(request: ResourceRequest) -> str | None:
        value = request.get(path, UNKNOWN)
        return None if value is UNKNOWN or value in allowed else words.format(value=value)

    return rule


def in_range(path: str, low: int, high: int, words: str) -> Rule:
    """The number at `path`, where there is one, lies between two bounds, both included."""

    def rule(request: ResourceRequest) -> str | None:
        value = request.get(path, UNKNOWN)
        return None if value is UNKNOWN or low <= value <= high else words.format(value=value)

    return rule


def refuse_when(broken: Callable[[ResourceRequest], bool], words: str) -> Rule:
    """Refuse with `words` when `broken` says so; templates in the words are filled from the request."""

    def rule(request: ResourceRequest) -> str | None:
        return request.fill(words) if broken(request) else None

    return rule


Invoke = Callable[[Mapping[str, Any], StateReader, Mapping[str, str]], Mapping[str, Any]]


class Cloud(Protocol):
    """A simulated provider: its types, its functions, and what its references look like."""

    @property
    def name(self) -> str:
        """The Pulumi package: `aws`, `azure-native`, `kubernetes`, `random`."""

    @property
    def account(self) -> Mapping[str, str]:
        """What is true of the simulated account."""

    @property
    def invokes(self) -> Mapping[str, Invoke]:
        """Functions by token."""

    @property
    def secret_invokes(self) -> Collection[str]:
        """Tokens of functions whose whole result is secret."""

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:
        """Facts from the provider's configuration; raises CloudError where the real one would."""

    def model(self, type_: str) -> ResourceModel | None:
        """The entry for a type token, None when it is not modelled."""

    def find_missing_reference(self, request: ResourceRequest, value: str) -> str | None:
        """The cloud's refusal when `value` refers to something of this cloud that does not exist."""
