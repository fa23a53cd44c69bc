"""How a resource type is modelled: one declarative entry per type.

An entry says how the resource is identified, which outputs the cloud computes, which changes replace it, and what the
cloud refuses. A type without an entry is an error; inputs are never just echoed.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kernel.paths import look_up, overlaps
from kernel.values import UNKNOWN
from rehearsal.simulator.core.circumstances import USUAL, Circumstances
from rehearsal.simulator.core.constraints import NO_CONSTRAINTS, InputConstraints
from rehearsal.simulator.core.naming import NO_HINTS, NamingHints
from rehearsal.simulator.core.node_drain import NO_CLUSTER, NodeDrain

if TYPE_CHECKING:
    from rehearsal.simulator.core.one_writer import OneWriter
    from rehearsal.simulator.core.remains import ByProduct, Tombstone


class Resource(Protocol):
    """A resource that exists in the simulated cloud."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def inputs(self) -> Mapping[str, Any]: ...
    @property
    def outputs(self) -> Mapping[str, Any]: ...


class StateReader(Protocol):
    """Read access to everything that exists, for rules and outputs."""

    def find(self, reference: str) -> Resource | None:
        """The resource with this ID or ARN. Azure's IDs are compared case-insensitively."""

    def all(self, type_: str) -> Iterable[Resource]:
        """Every resource of one type."""


@dataclass(frozen=True)
class ResourceRequest:
    """A resource as requested: rules check it, and outputs are computed from it.

    account     the provider's configuration, and the identifiers of its account
    generation  how many times this URN was created before: a replacement gets another ID
    id          empty until the resource is created
    hints       the engine's hints for names that the provider generates
    previous    the resource that an update changes; None for a creation
    drain       the cluster's nodes, which an update may have to drain
    circumstances  the date, the caller and the kind of account
    """

    type: str
    urn: str
    inputs: Mapping[str, Any]
    state: StateReader
    account: Mapping[str, str]
    generation: int = 0
    id: str = ""
    hints: NamingHints = NO_HINTS
    previous: Resource | None = None
    drain: NodeDrain = NO_CLUSTER
    circumstances: Circumstances = USUAL

    @property
    def name(self) -> str:
        """Pulumi's logical name."""
        return self.urn.rsplit("::", 1)[-1]

    def get(self, path: str, default: Any = None) -> Any:
        """The input at a property path: `default` if it is not set, UNKNOWN if a preview does not know it."""
        return look_up(self.inputs, path, default)

    def get_previous(self, path: str, default: Any = None) -> Any:
        """The input at a property path before this update: `default` if it was not set, or nothing existed."""
        return look_up(self.previous.inputs, path, default) if self.previous else default

    def hex(self, length: int, salt: str = "") -> str:
        """Hexadecimal digits, at most 128; the same in every run for the same resource."""
        return hashlib.sha512(f"{self.urn}#{self.generation}#{salt}".encode()).hexdigest()[:length]

    def uuid(self, salt: str = "") -> str:
        """A version 4 UUID; the same in every run for the same resource."""
        digits = self.hex(32, salt)
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"

    def fill(self, template: str) -> str:
        """Replace `{path}` with a value of the account or an input, and `{id}`, `{uuid}` and `{hex:8}` (eight digits).

        Raises KeyError if a value is not set or unknown.
        """
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
            raise KeyError(f"{request.type}: a template needs '{field_name}', which {request.name} does not have")
        return value, field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        return str(value(int(format_spec))) if callable(value) else str(super().format_field(value, format_spec))


Template = str | Callable[[ResourceRequest], Any]
"""Text with placeholders (see ResourceRequest.fill), or a function of the request."""

Rule = Callable[[ResourceRequest], str | None]
"""Checks a request; returns the cloud's error message, or None if the cloud accepts it."""

Default = Callable[[ResourceRequest, Mapping[str, Any]], Any]
"""An input that the provider fills in: (request, the resource's inputs so far) -> value, None if there is none.

The inputs so far come from the engine's state, and are empty for a new resource. Raises CloudError if a required value
cannot be determined.
"""

Transition = Callable[[ResourceRequest], str | None]
"""A rule of an update: it compares `request.previous` with the request, in which values may be UNKNOWN."""

UNRESTRICTED: Collection[Transition] = ()
"""For a type whose updates are never refused because of the old values: each is allowed, or replaces the resource."""


@dataclass(frozen=True)
class ResourceModel:
    """One resource type.

    type                  Pulumi's type token, without an API version
    id                    the cloud's ID, unique within the cloud
    name_path             path of the explicit name if the ID does not contain it. A resource whose replacement keeps
                          this name (or the ID) is deleted before the replacement is created
    outputs               properties that the cloud computes in addition to the inputs. A preview that creates the
                          resource does not know them
    required              paths of inputs that both the provider and the SDK's signature require. What the cloud
                          requires beyond that is a rule
    defaults              inputs that the provider fills in if they are not set, keyed by path
    replace_on_changes    paths whose change replaces the resource
    replace_if            paths at which only some changes replace the resource: whether the change from an old to a new
                          value does. A value that is not set is None
    suppressed_if         names of inputs whose difference the provider may ignore, so that the cloud's value stays:
                          whether it does, for the properties that the engine knows and the declared inputs
    transitions           checks of an update against the old values, in previews too: UNKNOWN must pass. Each type
                          has to list them, or be UNRESTRICTED
    stable_outputs        outputs that a preview of an update knows; None: all that do not depend on changed inputs
    constraints           the API's constraints on single inputs, in previews too
    rules                 checks of only the inputs, in previews too: UNKNOWN must pass
    state_rules           checks against what exists, when the resource is created or updated
    delete_rules          checks against what exists, when the resource is deleted
    secrets               outputs that are secret
    tombstone             the name that stays taken after a deletion
    creation_by_products  what the service itself creates when the resource is created
    deletion_by_products  what it creates when the resource is deleted
    one_writer            the parent in which the cloud changes only one resource at a time, if there is one. The
                          simulation's own changes take no time: a rule of wiring checks that the resources wait for
                          each other
    is_never_updated      whether the cloud accepts updates, and changes nothing: its API creates what does not exist
    notes                 inputs that are not checked because the simulation does not know enough: each returns what is
                          not checked, or None
    """

    type: str
    id: Template
    name_path: str = ""
    outputs: Mapping[str, Template] = field(default_factory=dict)
    required: Collection[str] = ()
    defaults: Mapping[str, Default] = field(default_factory=dict)
    replace_on_changes: Collection[str] = ()
    replace_if: Mapping[str, Callable[[Any, Any], bool]] = field(default_factory=dict)
    suppressed_if: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], bool]] = field(default_factory=dict)
    transitions: Collection[Transition] = field(kw_only=True)
    stable_outputs: Collection[str] | None = None
    constraints: InputConstraints = NO_CONSTRAINTS
    rules: Collection[Rule] = ()
    state_rules: Collection[Rule] = ()
    delete_rules: Collection[Rule] = ()
    secrets: Collection[str] = ()
    tombstone: Tombstone | None = None
    creation_by_products: Collection[ByProduct] = ()
    deletion_by_products: Collection[ByProduct] = ()
    one_writer: OneWriter | None = None
    is_never_updated: bool = False
    notes: Collection[Rule] = ()

    def is_replaced_by(self, path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Whether the change at a path, from one set of inputs to another, replaces the resource."""
        return any(overlaps(path, each) for each in self.replace_on_changes) or any(
            overlaps(path, each) and is_replaced(look_up(old, each, None), look_up(new, each, None))
            for each, is_replaced in self.replace_if.items()
        )


def render_template(template: Template, request: ResourceRequest) -> Any:
    return request.fill(template) if isinstance(template, str) else template(request)
