"""Finding secrets in plain text in configuration. Findings name paths, never values."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kernel.paths import Path, format_path
from kernel.values import UNKNOWN
from policies.engine.findings import Findings, Undecided

SECRET_KEY: Final = re.compile(
    r"(password|passwd|secret|secret[-_]key|token|api[-_]?key|access[-_]?key|private[-_]?key|connection[-_]?string|credentials?)$",
    re.IGNORECASE,
)
# Keys with which charts refer to a secret instead of containing it.
REFERENCE_KEY: Final = re.compile(r"(existing|pull|from|ref|^tls)[-_]?\w*secret$|secretName$", re.IGNORECASE)
SECRET_TEXT: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|://[^/\s:@$]+:[^/\s@$({]+@")
# Placeholders such as $(DB_PASSWORD) or ${DB_PASSWORD} are replaced at run time.
PLACEHOLDER: Final = re.compile(r"^(\$\([^)]+\)|\$\{[^}]+\}|\{\{.*\}\})$")


def find_plain_text_secrets(tree: Any, path: Path) -> Findings:
    """Report every path in the tree at `path` whose value is a secret in plain text, or may become one."""
    for where, key, value in _leaves(tree, path, ""):
        has_secret_key = bool(SECRET_KEY.search(key)) and not REFERENCE_KEY.search(key)
        if value is UNKNOWN and has_secret_key:
            yield Undecided(format_path(where))
        elif isinstance(value, str) and _is_secret(value, has_secret_key):
            yield f"{format_path(where)} must not contain a secret in plain text"


def _is_secret(text: str, has_secret_key: bool) -> bool:
    if not text or PLACEHOLDER.match(text):
        return False
    return has_secret_key or SECRET_TEXT.search(text) is not None


def _leaves(tree: Any, path: Path, key: str) -> Iterator[tuple[Path, str, Any]]:
    """Every leaf with its path and the key that describes it."""
    if isinstance(tree, Mapping):
        # In an environment variable, {name: DB_PASSWORD, value: ...}, that key is the name.
        name = tree.get("name")
        for child, value in tree.items():
            meaning = name if child == "value" and isinstance(name, str) else str(child)
            yield from _leaves(value, (*path, str(child)), meaning)
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _leaves(item, (*path, index), key)
    else:
        yield path, key, tree
