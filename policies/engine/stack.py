"""A stack's resources as stack controls see them, and checks that relate one resource to another."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from kernel.paths import each_value, parse_path
from kernel.values import UNKNOWN
from policies.engine.expectations import any_matches, pass_if_any
from policies.engine.findings import Finding, Findings, Props, Undecided
from policies.engine.type_names import canonical_type


@dataclass(frozen=True)
class Resource:
    """One resource of a stack. `property_dependencies` maps a property to the URNs of resources that it depends on."""

    type: str
    name: str
    urn: str
    props: Props
    property_dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def refers_to(self, other: "Resource", path: str) -> bool | Undecided:
        """Whether the property at `path` names the other resource.

        The engine's record of dependencies is complete even while the value is unknown. Literal names have no such
        record, and are compared with the other resource's names.
        """
        recorded = self.property_dependencies.get(str(parse_path(path)[0]))
        if recorded:
            return other.urn in recorded
        names = [other.props.get(key) for key in ("id", "arn", "bucket", "accountName", "resourceName")]
        named = any_matches((value for _, value in each_value(self.props, path)), lambda value: value in names)
        return Undecided(f"{self.name}.{path}") if named is UNKNOWN else named


Stack: TypeAlias = Sequence[Resource]
StackFindings: TypeAlias = Iterator[tuple[Resource, Finding]]


def of_type(stack: Stack, *types: str) -> list[Resource]:
    """The resources of these types, in any spelling of the types."""
    return [resource for resource in stack if canonical_type(resource.type) in types]


def expect_companion(
    owners: Iterable[Resource],
    companions: Iterable[Resource],
    path: str,
    missing: str,
    check: Callable[[Resource], Findings] = lambda _: iter(()),
    *,
    others: Iterable[Resource] = (),
    check_alone: Callable[[Resource], Findings] | None = None,
) -> StackFindings:
    """Require that every owner has a companion that names it at `path` and passes `check`; else report `missing`.

    The `others` need no companion. A companion that belongs to none of the owners and others belongs to a resource that
    is deployed elsewhere: it has to pass `check_alone`, which defaults to `check`.
    """
    owners, candidates = list(owners), list(companions)
    for owner in owners:
        answers = [(companion, companion.refers_to(owner, path)) for companion in candidates]
        possible = [[answer] for _, answer in answers if isinstance(answer, Undecided)]
        own = [check(companion) for companion, answer in answers if answer is True]
        for finding in pass_if_any([*possible, *(own or [iter([missing])])]):
            yield owner, finding
    known = [*owners, *others]
    for companion in candidates:
        if all(companion.refers_to(owner, path) is False for owner in known):
            yield from ((companion, finding) for finding in (check_alone or check)(companion))
