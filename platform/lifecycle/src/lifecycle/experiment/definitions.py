"""The experiments' file as a router has it: a file that changes beside it, and may be invalid for a while."""

from __future__ import annotations

import logging
from pathlib import Path

from lifecycle.gitops.experiments import Definitions, DefinitionsError, parse

_log = logging.getLogger(__name__)


class DefinitionsFile:
    """The file, read again when it has changed. An invalid one leaves the last valid one in force.

    `backup` keeps that for a process that starts when the file is invalid. Where there is neither file nor backup, but
    the file's folder, there are no experiments yet: whatever syncs the file from git may come up after the router.
    """

    def __init__(self, path: Path, backup: Path) -> None:
        """Raises DefinitionsError when neither the file nor the backup is valid, or the file's folder is missing."""
        self._path = path
        self._backup = backup
        self._content: bytes | None = None
        self.problem = ""
        """Why the file, as it is, is not in force; empty when it is."""
        self.current = Definitions()
        if not self.reload():
            self.current = self._read_backup()

    def reload(self) -> bool:
        """Read the file if it has changed; returns whether the file, as it is, is in force."""
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
            _log.error("The experiments stay as they were: %s", problem)
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
        """In one step, so that it is valid whenever this process ends."""
        draft = self._backup.with_suffix(".draft")
        try:
            draft.write_bytes(content)
            draft.replace(self._backup)
        except OSError as error:
            _log.warning("%s cannot be written (%s): it is needed only where the file is invalid", draft, error)
