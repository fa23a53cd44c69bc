"""The comment on a pull request, which each run replaces.

The run that writes it has write access to the repository, but the text may come from a fork: so it is only text, of
limited length and without mentions. GitHub, not the fork, says which pull request it belongs to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from delivery.errors import DeliveryError
from deploy.programs import Answer, Programs

MARKER = "<!-- groundwork: the report of the rehearsals -->"
# https://docs.github.com/rest/issues/comments: a body has 65536 characters at most.
_MAX_LENGTH = 65_000
_OWN = 1_000  # characters in addition to the reports: the marker, separators, and characters that prevent mentions
_LEAST_SHARE = 8_192  # bytes, which `make report` needs at least
_CUT = "\n\n_The report is longer than a comment may be; the run's summary has all of it._\n"
_MAX_REPORT = 1 << 20  # bytes of a file that are read
_SHA = re.compile(r"[0-9a-f]{40}")
_PROJECT = re.compile(r"[\w.-]+/[\w.-]+")


def post(programs: Programs, project: str, commit: str, reports: Sequence[Path]) -> str:
    """Write the reports as the comment of the open pull request of a commit; returns what was done, in a line.

    project  the repository of the pull request, `owner/name`
    commit   its head commit, which may be in a fork

    Raises DeliveryError.
    """
    if not _PROJECT.fullmatch(project) or not _SHA.fullmatch(commit):
        raise DeliveryError(f"'{project}' or '{commit}' is not a repository and a commit digest.")
    number = _find_pull_request(programs, project, commit)
    if number is None:
        return f"No open pull request has {commit[:12]} as its head any more, so there is nothing to comment on."
    body = compose(read_report(path) for path in sorted(reports))
    existing = _find_comment(programs, project, number)
    if existing is None:
        _ask(programs, body, "--method", "POST", f"repos/{project}/issues/{number}/comments")
        return f"The comment on pull request {number} has been written."
    _ask(programs, body, "--method", "PATCH", f"repos/{project}/issues/comments/{existing}")
    return f"The comment on pull request {number} has been replaced."


def compose(reports: Iterable[str]) -> str:
    """The comment's text, limited to the number of characters that GitHub accepts."""
    texts = [_disarm(text.strip()) for text in reports]
    text = f"{MARKER}\n" + ("\n\n---\n\n".join(filter(None, texts)) or "No stack is concerned by this change.") + "\n"
    return text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - len(_CUT)] + _CUT


def find_share(reports: int) -> int:
    """How many bytes each of several reports may have, so that all fit into the comment; eight or more are cut."""
    return max((_MAX_LENGTH - _OWN) // max(reports, 1), _LEAST_SHARE)


def read_report(path: Path) -> str:
    """A report of another run, as text. Raises DeliveryError if it is not a regular file."""
    if path.is_symlink() or not path.is_file():
        raise DeliveryError(f"{path.name} is not a file.")
    with path.open("rb") as stream:
        return stream.read(_MAX_REPORT).decode(errors="replace")


def _disarm(text: str) -> str:
    """The text without mentions, and without the marker of another comment."""
    return text.replace("@", "@\u200b").replace("<!--", "<\u200b!--")


def _find_pull_request(programs: Programs, project: str, commit: str) -> int | None:
    query = f"repos/{project}/pulls?state=open&sort=updated&direction=desc&per_page=100"
    found = json.loads(_check(programs.ask("gh", "api", query)))
    return next((int(each["number"]) for each in found if each["head"]["sha"] == commit), None)


def _find_comment(programs: Programs, project: str, number: int) -> int | None:
    query = f"repos/{project}/issues/{number}/comments?per_page=100"
    comments = json.loads(_check(programs.ask("gh", "api", "--paginate", "--slurp", query)))
    flat = [comment for page in comments for comment in page]
    own = [each for each in flat if each["user"]["type"] == "Bot" and each["body"].startswith(MARKER)]
    return int(own[0]["id"]) if own else None


def _ask(programs: Programs, body: str, *arguments: str) -> None:
    """The body is passed as a field that is not interpreted (`--raw-field`), unlike `--field body=@file`."""
    _check(programs.ask("gh", "api", *arguments, "--raw-field", f"body={body}", "--silent"))


def _check(answer: Answer) -> str:
    if answer.code:
        raise DeliveryError(f"GitHub does not accept the request: {answer.reason}.")
    return answer.output
