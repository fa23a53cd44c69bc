"""Searches everything that a command of a rehearsal leaves for the secrets that the simulated clouds have generated.

The engine encrypts secrets in its state, the API server those of kind Secret in etcd, and the clouds' state has
fingerprints: what is left may be read by whoever reads logs, outputs, reports and ConfigMaps.
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

# Copies of what is searched beside them: the engine's former states, and etcd's journal; and the objects of the
# repository, which are compressed: git reads them.
_SKIPPED = ("backend/.pulumi/backups", "backend/.pulumi/history", "cluster/etcd/member/wal", "gitops.git/objects")


def find_leaks(rehearsal: Rehearsal, texts: Mapping[str, str] | None = None) -> list[str]:
    """What has one of the secrets, a line each: files of the rehearsal's folder, and texts by what messages call them.

    Everything that writes into the folder has to have ended.
    """
    if not len(rehearsal.canaries):
        return []
    search = SecretSearch(rehearsal.canaries)
    found = [leak for place, text in (texts or {}).items() for leak in search.search_text(place, text)]
    found += [leak for place, path in _list_files(rehearsal.folder) for leak in search.search_file(place, path)]
    found += _search_objects(search, rehearsal.files.gitops)
    return _describe(found, rehearsal.stack)


def find_leaks_in_text(rehearsal: Rehearsal, place: str, text: str) -> list[str]:
    """The same for a text alone."""
    return _describe(SecretSearch(rehearsal.canaries).search_text(place, text), rehearsal.stack)


def report_leaks(rehearsal: Rehearsal) -> bool:
    """Print what a command has left that has a secret; returns whether anything has."""
    leaks = find_leaks(rehearsal)
    for line in leaks:
        info(line)
    return bool(leaks)


def describe_charts(charts: Iterable[ChartEvaluation]) -> Mapping[str, str]:
    """The objects that charts render, as texts in which secrets are searched for."""
    return {f"the rendered chart {each.chart.short_name}": json.dumps(each.rendered.objects) for each in charts}


def _describe(leaks: Iterable[Leak], stack: str) -> list[str]:
    """Each leak once, whatever the form, and the remedy once."""
    forget = f"`make rehearse-reset STACK={stack}` removes what earlier commands have left"
    lines = {(leak.place, leak.owner): str(leak) for leak in reversed(list(leaks))}
    return [*reversed(lines.values()), f"{REMEDY} {forget}"] if lines else []


def _list_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file that is searched, with its path in the folder."""
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        if not _is_copy(place) and path.is_file() and not path.is_symlink():
            yield place, path


def _is_copy(place: str) -> bool:
    return place.startswith(_SKIPPED) or (place.startswith("backend/") and place.endswith(".bak"))


def _search_objects(search: SecretSearch, repository: Path) -> Iterator[Leak]:
    """Search the content of all commits, trees and files of a repository; there need not be one."""
    if not repository.exists():
        return
    command = ["git", "-C", str(repository), "cat-file", "--batch-all-objects", "--batch", "--unordered"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as git:
        if git.stdout:
            yield from search.search_stream("the GitOps repository", git.stdout)
