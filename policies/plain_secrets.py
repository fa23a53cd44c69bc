"""Finding secrets written out in configuration. Only places are reported, never what stands there."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.props import UNKNOWN, Undecided, Verdicts

SECRET_KEY = re.compile(
    r"(password|passwd|secret|secret[-_]key|token|api[-_]?key|access[-_]?key|private[-_]?key|connection[-_]?string|credentials?)$",
    re.IGNORECASE,
)
# Charts' ways of saying where a secret is, as opposed to what it is.
REFERENCE_KEY = re.compile(r"(existing|pull|from|ref|^tls)[-_]?\w*secret$|secretName$", re.IGNORECASE)
SECRET_TEXT = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|://[^/\s:@$]+:[^/\s@$({]+@")
# A value such as $(DB_PASSWORD) or ${DB_PASSWORD} is filled in where the process runs.
PLACEHOLDER = re.compile(r"^(\$\([^)]+\)|\$\{[^}]+\}|\{\{.*\}\})$")


def plain_secrets(tree: Any, where: str) -> Verdicts:
    """Every place below `where` at which a secret is written out, or may turn out to be."""
    for path, key, value in _leaves(tree, where, ""):
        secret_key = bool(SECRET_KEY.search(key)) and not REFERENCE_KEY.search(key)
        if value is UNKNOWN and secret_key:
            yield Undecided(path)
        elif isinstance(value, str) and _is_secret(value, secret_key):
            yield f"{path} holds a secret in plain text"


def _is_secret(text: str, secret_key: bool) -> bool:
    if not text or PLACEHOLDER.match(text):
        return False
    return secret_key or SECRET_TEXT.search(text) is not None


def _leaves(tree: Any, where: str, key: str) -> Iterator[tuple[str, str, Any]]:
    if isinstance(tree, Mapping):
        # An environment variable: {name: DB_PASSWORD, value: ...}. Its name is the key that matters.
        name = tree.get("name")
        for child, value in tree.items():
            effective = name if child == "value" and isinstance(name, str) else str(child)
            yield from _leaves(value, f"{where}.{child}", effective)
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _leaves(item, f"{where}[{index}]", key)
    else:
        yield where, key, tree
