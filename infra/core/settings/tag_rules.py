"""Rules of the clouds for tags: the tags that have their own settings, and those that a stack adds."""

from __future__ import annotations

import re
from collections.abc import Iterator

from infra.core.settings.clouds import Cloud
from infra.core.settings.faults import Fault
from infra.core.settings.limits import AWS_TAG_CHARACTERS, AWS_TAG_VALUE, TAG_LIMITS
from infra.core.settings.stack_settings import Settings

# What the project sets on each resource (`infra.core.naming`), and the name that consoles show.
OWN_TAGS = ("project", "stack", "environment", "organization", "owner", "cost-center", "managed-by", "Name")


def check_tags(settings: Settings) -> Iterator[Fault]:
    values = {"owner": settings.owner, "costCenter": settings.cost_center}
    for setting, value in {**values, **{f"tags.{key}": value for key, value in settings.tags.items()}}.items():
        yield from _check_value(setting, value, settings.cloud)
    yield from _check_keys(settings)


def _check_value(setting: str, value: str, cloud: Cloud) -> Iterator[Fault]:
    if cloud is not Cloud.AWS or re.fullmatch(AWS_TAG_VALUE, value):
        return
    if value.lower().startswith("aws:"):
        yield Fault(setting, "begins with aws:, which AWS reserves", "write it without this prefix", value=value)
    else:
        problem = f"has characters that a tag cannot have on AWS, which allows {AWS_TAG_CHARACTERS}"
        yield Fault(setting, problem, "write it without them", value=value)


def _check_keys(settings: Settings) -> Iterator[Fault]:
    limits, own = TAG_LIMITS[settings.cloud], {key.lower() for key in OWN_TAGS}
    if len(settings.tags) > limits.number:
        problem = (
            f"has {len(settings.tags)} tags, but {settings.cloud} allows {limits.number} in addition to the project's"
        )
        yield Fault("tags", problem, f"remove {len(settings.tags) - limits.number}")
    known: dict[str, str] = {}
    for key in settings.tags:
        first = known.setdefault(key.lower(), key)
        if key.lower() in own:
            remedy = "use another key; owner and costCenter have their own settings"
            yield Fault(f"tags.{key}", "is a tag that the project sets itself", remedy)
        elif first != key:
            problem = f"differs from tags.{first} only in case, which {settings.cloud} does not distinguish everywhere"
            yield Fault(f"tags.{key}", problem, "keep one of the two")
        elif re.match(limits.reserved, key, re.IGNORECASE):
            yield Fault(f"tags.{key}", f"has a prefix that {limits.reserved_for}", "use another key")
        elif not re.fullmatch(limits.key, key):
            yield Fault(f"tags.{key}", f"is not a key of a tag on {settings.cloud}: {limits.key_rule}", "rename it")
