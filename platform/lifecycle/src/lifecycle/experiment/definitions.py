"""The router's view of the experiments file, which changes while the router runs, and may be invalid for a while."""

from __future__ import annotations

import logging
from pathlib import Path

from lifecycle.gitops.experiments import Definitions, DefinitionsError, parse

_log = logging.getLogger(__name__)


class DefinitionsFile:
    """The file, which is read again when it has changed. While it is invalid, its last valid content stays in force.

    `backup` stores that content for a process that starts while the file is invalid. If there is neither file nor
    backup, but the file's folder, there are no experiments yet: the sync from git may create it later.
    """

    def __init__(self, path: Path, backup: Path) -> None:
        """Raises DefinitionsError if neither the file nor the backup is valid, or the file's folder is missing."""
        self._path = path
        self._backup = backup
        self._content: bytes | None = None
        self.problem = ""
        """Why the current file is not in force; empty if it is."""
        self.current = Definitions()
        if not self.reload():
            self.current = self._read_backup()

    def reload(self) -> bool:
        """Read the file if it has changed; returns whether the current file is in force."""
        try:
            content = self._path.read_bytes()
            if content == self._content:
                return not self.problem
            self._content = content
            self.current = parse(content, str(self._path))
        except OSError as error:
            self._content = None
            self._report(f"{self._path} cannot be read: {error.strerror}; create it, or set EXPERIMENT_FILE")
        except DefinitionsError as error:
            self._report(str(error))
        else:
            self.problem = ""
            self._write_backup(content)
            _log.info("Experiments of %s are in force: %s", self._path, ", ".join(self.current.by_name) or "none")
        return not self.problem

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            _log.error("The experiments remain unchanged: %s", problem)
        self.problem = problem

    def _read_backup(self) -> Definitions:
        if not self._path.exists() and self._path.parent.is_dir() and not self._backup.exists():
            _log.warning("There are no experiments until %s appears", self._path)
            return Definitions()
        try:
            definitions = parse(self._backup.read_bytes(), str(self._backup))
        except (OSError, DefinitionsError):
            raise DefinitionsError(self.problem) from None
        _log.error("The last valid experiments, of %s, are in force", self._backup)
        return definitions

    def _write_backup(self, content: bytes) -> None:
        """Replace the backup in one step, so that it is valid even if this process ends in between."""
        draft = self._backup.with_suffix(".draft")
        try:
            draft.write_bytes(content)
            draft.replace(self._backup)
        except OSError as error:
            _log.warning("%s cannot be written (%s): it is needed only if the file is invalid", draft, error)
