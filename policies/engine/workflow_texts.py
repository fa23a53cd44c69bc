"""YAML and JSON in strings of Argo workflows: patches of pods, and manifests of objects.

A string may have expressions, `{{inputs.parameters.image}}`, which Argo replaces when a step starts. Until then the
values that contain them are not known.
Source: https://argo-workflows.readthedocs.io/en/latest/variables/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import count
from typing import Any, Final

import yaml

from kernel.values import UNKNOWN, is_list
from policies.engine.partial import Unread

# Argo's expressions end at the first closing braces, as in its library github.com/valyala/fasttemplate.
_EXPRESSION: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)
# Replaces an expression while a string is parsed: a private-use character, which YAML and JSON allow anywhere.
_PLACEHOLDER: Final = "\ue000"
# Values in one string. etcd stores no object over 1.5 MiB, but a few YAML aliases can expand to billions of values.
_MOST_VALUES: Final = 200_000


def read_documents(text: Any) -> tuple[Any, ...]:
    """The documents in a string that are not empty, with UNKNOWN for every value that has an expression.

    If the string is not known or cannot be parsed, the only document is UNKNOWN. An object with an expression in a key
    may have any other property too.
    """
    return _parse(text) if isinstance(text, str) else (UNKNOWN,)


@lru_cache(maxsize=256)  # every control reads it
def _parse(text: str) -> tuple[Any, ...]:
    try:
        parsed = list(yaml.safe_load_all(_EXPRESSION.sub(_PLACEHOLDER, text)))
        values = count()
        return tuple(_read(each, values) for each in parsed if each is not None)
    # Values that are nested too deeply, or that contain an alias of themselves, raise RecursionError.
    except (yaml.YAMLError, ValueError, RecursionError):
        return (UNKNOWN,)


def _read(value: Any, values: Iterator[int]) -> Any:
    if next(values) >= _MOST_VALUES:
        raise ValueError("a text has too many values")
    if isinstance(value, str):
        return UNKNOWN if _PLACEHOLDER in value else value
    if isinstance(value, Mapping):
        read = {str(key): _read(each, values) for key, each in value.items()}
        known = {key: each for key, each in read.items() if _PLACEHOLDER not in key}
        return known if len(known) == len(read) else Unread(known)
    return [_read(each, values) for each in value] if is_list(value) else value
