"""The simulated `random` provider. Its passwords are truly random, from the operating system; its IDs are not."""

from __future__ import annotations

import secrets
import string

from rehearsal.simulator.core.cloud import Cloud
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import in_range
from rehearsal.simulator.core.standalone_provider import StandaloneProvider

_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"


def _generate_password(request: ResourceRequest) -> str:
    special = str(request.get("overrideSpecial", _SPECIAL)) if request.get("special", True) else ""
    classes = {
        "minLower": string.ascii_lowercase,
        "minUpper": string.ascii_uppercase,
        "minNumeric": string.digits,
        "minSpecial": special,
    }
    required = [secrets.choice(letters) for name, letters in classes.items() for _ in range(request.get(name, 0))]
    alphabet = string.ascii_letters + string.digits + special
    rest = [secrets.choice(alphabet) for _ in range(request.inputs["length"] - len(required))]
    password = [*required, *rest]
    secrets.SystemRandom().shuffle(password)
    return "".join(password)


def _generate_bcrypt_hash(_: ResourceRequest) -> str:
    """A text in bcrypt's format: nothing in a rehearsal compares a password with it."""
    alphabet = string.ascii_letters + string.digits + "./"
    return "$2a$10$" + "".join(secrets.choice(alphabet) for _ in range(53))


_MODELS = (
    ResourceModel(
        "random:index/randomId:RandomId",
        id="{hex:16}",
        outputs={"hex": lambda request: request.hex(2 * request.inputs["byteLength"])},
        required=("byteLength",),
        replace_on_changes=("byteLength", "prefix", "keepers"),
        transitions=UNRESTRICTED,
    ),
    ResourceModel(
        "random:index/randomPassword:RandomPassword",
        id="{hex:16}",  # the real provider's ID is "none", but here IDs must be unique
        outputs={"result": _generate_password, "bcryptHash": _generate_bcrypt_hash},
        required=("length",),
        replace_on_changes=("length", "special", "overrideSpecial", "keepers"),
        transitions=UNRESTRICTED,
        rules=(in_range("length", 1, 1024, "length must be between 1 and 1024, got: {value}"),),
        secrets=("result", "bcryptHash"),
    ),
)


CLOUD: Cloud = StandaloneProvider("random", _MODELS)
