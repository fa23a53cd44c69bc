"""Faults of the machine are reported as one message; others are not hidden.

Proves the messages for errors of the operating system. Which of them a full disk or another user's files cause, and
where, is not proven here.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rehearsal.machine_faults import describe_os_error


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.ENOSPC, "there is no space left"),
        (errno.EDQUOT, "your quota is exceeded"),
        (errno.EROFS, "the file system is read-only"),
    ],
)
def test_the_message_names_path_cause_and_the_variable_for_the_cache(number: int, cause: str) -> None:
    message = describe_os_error(OSError(number, os.strerror(number), "/data/state.db"))
    assert message.startswith(f"/data/state.db could not be written: {cause}. ")
    assert "XDG_CACHE_HOME" in message


def test_a_message_without_a_path_is_a_sentence() -> None:
    assert describe_os_error(OSError(errno.ENOSPC, "")).startswith("A file could not be written")


def test_a_file_of_another_user_is_named_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    message = describe_os_error(PermissionError(errno.EACCES, "", "/usr/nowhere/state.db"))
    assert "/usr belongs to root" in message
    assert "Use a clone of your own" in message


def test_a_file_of_the_user_is_named_without_an_owner(tmp_path: Path) -> None:
    message = describe_os_error(PermissionError(errno.EACCES, "", str(tmp_path / "state.db")))
    assert "belongs to" not in message
    assert "correct its permissions" in message


def test_other_errors_have_no_message() -> None:
    assert describe_os_error(FileNotFoundError(errno.ENOENT, "", "/nowhere")) == ""
