"""Searches the files and output of a rehearsal's command for the secrets that the simulated clouds have generated.

The engine encrypts secrets in its state, the API server encrypts Secrets in etcd, and the clouds' state has only
fingerprints. Anything else can be read by people who read logs, outputs, reports and ConfigMaps.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rehearsal.console import info
from rehearsal.helm.chart_policies import ChartEvaluation
from rehearsal.secret_search import REMEDY, Leak, SecretSearch
from rehearsal.session import Rehearsal

# Copies of searched files: the engine's earlier states and etcd's journal. The objects of the repository are
# compressed, so git reads them.
_SKIPPED = ("backend/.pulumi/backups", "backend/.pulumi/history", "cluster/etcd/member/wal", "gitops.git/objects")


def find_leaks(rehearsal: Rehearsal, texts: Mapping[str, str] | None = None) -> list[str]:
    """Leaks of the secrets, one line each, in files of the rehearsal's folder and in texts, keyed by name for messages.

    Every process that writes to the folder has to have ended.
    """
    if not len(rehearsal.canaries):
        return []
    search = SecretSearch(rehearsal.canaries)
    found = [leak for place, text in (texts or {}).items() for leak in search.search_text(place, text)]
    found += [leak for place, path in _list_files(rehearsal.folder) for leak in search.search_file(place, path)]
    found += _search_objects(search, rehearsal.files.gitops)
    return _describe(found, rehearsal.stack)


def find_leaks_in_text(rehearsal: Rehearsal, place: str, text: str) -> list[str]:
    """The same, only for a text."""
    return _describe(SecretSearch(rehearsal.canaries).search_text(place, text), rehearsal.stack)


def report_leaks(rehearsal: Rehearsal) -> bool:
    """Print the leaks that a command has left; returns whether there are any."""
    leaks = find_leaks(rehearsal)
    for line in leaks:
        info(line)
    return bool(leaks)


def describe_charts(charts: Iterable[ChartEvaluation]) -> Mapping[str, str]:
    """The objects that charts render, as texts to search for secrets."""
    return {f"the rendered chart {each.chart.short_name}": json.dumps(each.rendered.objects) for each in charts}


def _describe(leaks: Iterable[Leak], stack: str) -> list[str]:
    """Each leak once, even if it has several forms, and the remedy once."""
    reset = f"`make rehearse-reset STACK={stack}` removes the files of earlier commands."
    lines = {(leak.place, leak.owner): str(leak) for leak in reversed(list(leaks))}
    return [*reversed(lines.values()), f"{REMEDY} {reset}"] if lines else []


def _list_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file that is searched, with its path in the folder."""
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        if not _is_copy(place) and path.is_file() and not path.is_symlink():
            yield place, path


def _is_copy(place: str) -> bool:
    return place.startswith(_SKIPPED) or (place.startswith("backend/") and place.endswith(".bak"))


def _search_objects(search: SecretSearch, repository: Path) -> Iterator[Leak]:
    """Search the content of all commits, trees and files of a repository, which need not exist."""
    if not repository.exists():
        return
    command = ["git", "-C", str(repository), "cat-file", "--batch-all-objects", "--batch", "--unordered"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as git:
        if git.stdout:
            yield from search.search_stream("the GitOps repository", git.stdout)
