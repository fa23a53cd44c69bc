"""A rehearsal's own copy of a stack's file, which the engine uses instead of the project's file.

The copy contains nothing of the real backend: no salt or key of its encryption, and a placeholder for each encrypted
value. Changes by the engine and by people remain in the copy until the project's file changes in the same place.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel import stack_file
from kernel.stack_file import StackFile
from kernel.yaml_document import Keys
from rehearsal.atomic_file import write_if_changed
from rehearsal.engine.settings_text import replace_config

# Keys that the engine writes beside the settings.
_ENGINE_KEYS = ("secretsprovider", "encryptedkey", "encryptionsalt")
_MISSING = object()


@dataclass(frozen=True)
class Changes:
    """The differences of a copy from the project's file.

    config   the settings that the project's file would have with the changes, keyed by full key
    changed  keys of settings that were set or removed
    secrets  keys of settings that were encrypted, for this rehearsal only
    """

    config: Mapping[str, Any]
    changed: tuple[str, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True)
class StackCopy:
    """
    project  the project's name
    source   the project's file, which need not exist
    name     its name in messages
    path     the copy
    base     the project's file at the time of the copy, without encryption
    """

    project: str
    source: Path
    name: str
    path: Path
    base: Path

    def refresh(self) -> None:
        """Update the copy from the project's file. Raises DocumentError if that file cannot be read."""
        content = self._read_source().without_encryption(name_placeholder)
        text = stack_file.format_content(content)
        if self.path.exists() and self.base.exists() and self.base.read_text() == text:
            return
        if self.path.exists():
            content = self._merge(content)
        self.base.parent.mkdir(parents=True, exist_ok=True)
        write_if_changed(self.path, stack_file.format_content(content))
        write_if_changed(self.base, text)

    def placeholders(self) -> list[str]:
        """Settings that have placeholders: `namespace:name`, or `namespace:name.key` inside an object."""
        copy = self._read_copy()
        return [
            ".".join(keys)
            for keys in self._read_source().encrypted
            if _find(copy.config, keys) == name_placeholder(keys)
        ]

    def changes(self) -> Changes:
        """The changes in the copy."""
        if not self.path.exists():
            return Changes(self._read_source().config, (), ())
        source, copy = self._read_source(), self._read_copy()
        detached = source.without_encryption(name_placeholder).get("config", {})
        secrets = {keys[0] for keys in copy.encrypted}
        differing = [
            key
            for key in dict.fromkeys([*detached, *copy.config])
            if key not in secrets and detached.get(key, _MISSING) != copy.config.get(key, _MISSING)
        ]
        config = dict(source.config)
        for key in differing:
            if key in copy.config:
                config[key] = _restore(copy.config[key], detached.get(key), source.config.get(key))
            else:
                del config[key]
        return Changes(config, tuple(differing), tuple(sorted(secrets)))

    def settings_in_force(self) -> StackFile:
        """The settings that the engine uses: the project's file, or the copy if something was changed in it.

        Raises DocumentError if the project's file cannot be read.
        """
        self.refresh()
        changes = self.changes()
        if not changes.changed and not changes.secrets:
            return self._read_source()
        return self._read(self.path, f"{self.name} with the changes of this rehearsal")

    def patch(self) -> str:
        """The changes as a patch of the project's file, for `git apply`; empty if there are none."""
        changes = self.changes()
        if not changes.changed:
            return ""
        before = self.source.read_bytes().decode() if self.source.exists() else ""
        after = replace_config(before, self._read_source(), changes.config, self._complete_key)
        lines = difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            f"a/{self.name}" if self.source.exists() else "/dev/null",
            f"b/{self.name}",
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def _merge(self, content: dict[str, Any]) -> dict[str, Any]:
        """The project's content with the changes in the copy, except where the project's file has changed too."""
        base = self._read(self.base).config if self.base.exists() else {}
        copy = self._read_copy()
        config = dict(content.get("config", {}))
        for key in [*base, *copy.config]:
            changed_here = base.get(key, _MISSING) != copy.config.get(key, _MISSING)
            changed_there = base.get(key, _MISSING) != config.get(key, _MISSING)
            if not changed_here or changed_there:
                continue
            if key in copy.config:
                config[key] = copy.config[key]
            else:
                del config[key]
        kept = {key: copy.content[key] for key in _ENGINE_KEYS if key in copy.content}
        return {**content, "config": config, **kept}

    def _read_source(self) -> StackFile:
        return self._read(self.source, self.name) if self.source.exists() else StackFile(self.name, {})

    def _read_copy(self) -> StackFile:
        return self._read(self.path)

    def _read(self, path: Path, name: str = "") -> StackFile:
        return stack_file.read(path, self.project, name)

    def _complete_key(self, key: str) -> str:
        parts = key.split(":")
        return f"{self.project}:{key}" if len(parts) == 1 else f"{parts[0]}:{parts[-1]}"


def name_placeholder(keys: Keys) -> str:
    """The placeholder for an encrypted value: text that satisfies the usual rules for passwords."""
    return f"Placeholder-1-for-{re.sub(r'[^A-Za-z0-9]+', '-', '-'.join(keys))}"


def _find(value: Any, keys: Keys) -> Any:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _restore(value: Any, detached: Any, source: Any) -> Any:
    """A changed value of the copy, with the project's encrypted values in place of their placeholders."""
    if value == detached:
        return source
    if isinstance(value, Mapping) and isinstance(detached, Mapping):
        return {
            key: _restore(item, detached.get(key), source.get(key)) if key in detached else item
            for key, item in value.items()
        }
    if isinstance(value, list) and isinstance(detached, list):
        known = [*zip(detached, source, strict=True)]
        return [next((original for copy, original in known if copy == item), item) for item in value]
    return value
