"""The simulated `random` provider: real random values from the operating system."""

from __future__ import annotations

import secrets
import string
from collections.abc import Collection, Mapping
from typing import Any

from rehearsal.simulator.core.resource_model import Cloud, Draft, Invoke, Model, within

_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"


def _password(draft: Draft) -> str:
    special = str(draft.get("overrideSpecial", _SPECIAL)) if draft.get("special", True) else ""
    classes = {
        "minLower": string.ascii_lowercase,
        "minUpper": string.ascii_uppercase,
        "minNumeric": string.digits,
        "minSpecial": special,
    }
    wanted = [secrets.choice(letters) for name, letters in classes.items() for _ in range(draft.get(name, 0))]
    alphabet = string.ascii_letters + string.digits + special
    rest = [secrets.choice(alphabet) for _ in range(draft.inputs["length"] - len(wanted))]
    password = [*wanted, *rest]
    secrets.SystemRandom().shuffle(password)
    return "".join(password)


_MODELS = (
    Model(
        "random:index/randomPassword:RandomPassword",
        id="{hex:16}",  # the real provider says "none"; a world needs to tell them apart
        outputs={"result": _password},
        required=("length",),
        replaces=("length", "special", "overrideSpecial", "keepers"),
        rules=(within("length", 1, 1024, "length must be between 1 and 1024, got: {value}"),),
        secrets=("result",),
    ),
)


class _Random:
    name = "random"
    facts: Mapping[str, str] = {}
    invokes: Mapping[str, Invoke] = {}
    secret_invokes: Collection[str] = ()

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:  # noqa: ARG002 it has no settings
        return {}

    def model(self, type_: str) -> Model | None:
        return next((model for model in _MODELS if model.type == type_), None)

    def missing(self, draft: Draft, value: str) -> str | None:  # noqa: ARG002 it refers to nothing
        return None


CLOUD: Cloud = _Random()
