"""Anything that people write into one model's files, or into a stack's, is at most an error, never a crash.

Random values in the files are replaced by the ones below, from one seed, and each file by texts on which YAML parsers
are known to fail. Not proven: how kustomize handles such files, which Argo CD reports.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
import yaml

from lifecycle.core import CHALLENGER, CHAMPION, ModelVersion
from lifecycle.gitops.git import RepositoryError
from lifecycle.gitops.model_folder import ModelFolder, edit_folder, list_models_with_challenger, read_folder
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.publisher import edit_challenger

SETTINGS = GitopsSettings(stack="dev", repository="unused")
VALUES: Sequence[Any] = (
    *(None, True, 0, -1, 10**30, 1.5, float("inf"), float("nan"), "", "x", "\0", b"\xff"),
    *([], {}, [[]], [None], {"a": 1}, {None: 1}, {1: {}}),
)
TEXTS = {
    "nothing": "",
    "an empty document": "---\n",
    "a scalar": "x",
    "a list": "- 1",
    "no YAML": "a: b: c",
    "an alias of nothing": "resources: *x",
    "a list in itself": "&a [*a]",
    "a mapping in itself": "a: &a {b: *a}",
    "aliases that double": "a: &a [x]\n"
    + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcdefghijklmnop")),
    "a mapping as key": "{? {a: 1} : 2}",
    "a tag that runs code": "!!python/object/apply:os.system [id]",
    "no integer": "a: !!int x",
    "no time": "a: !!timestamp x",
    "no date": "a: 2024-99-99",
    "a number of 9,000 digits": "a: 1" + "0" * 9000,
    "no merge": "<<: 1",
    "a hundred levels": "[" * 100 + "]" * 100,
    "a million levels": "[" * 1_000_000 + "]" * 1_000_000,
}


SEED, CHANGES = 13, 300
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Files(dict[str, str]):
    def read(self, path: str) -> str | None:
        return self.get(path)


@pytest.fixture(scope="module")
def files() -> Mapping[str, str]:
    """The files of a model in the middle of a rollout, and of its stack."""
    stack = _Files({"stacks/dev/kustomization.yaml": "resources: []\n"})
    versions = {CHAMPION: ModelVersion("wine", "1"), CHALLENGER: ModelVersion("wine", "2")}
    edits = edit_folder(stack, SETTINGS, ModelFolder("wine", versions, {CHAMPION: 90, CHALLENGER: 10}))
    return {**stack, **{path: text for path, text in edits.items() if text is not None}}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_is_read_or_named(files: Mapping[str, str], text: str) -> None:
    for path in files:
        use(files, path, text)


def test_any_value_is_read_or_named(files: Mapping[str, str]) -> None:
    documents = {path: next(yaml.safe_load_all(text)) for path, text in files.items()}
    choices = [(path, place) for path, document in documents.items() for place in places(document)]
    chance = random.Random(SEED)  # noqa: S311 (not for cryptography)
    for path, place in chance.choices(choices, k=CHANGES):
        use(files, path, yaml.dump(put(documents[path], place, chance.choice(VALUES)), Dumper=DUMPER))
    route = "stacks/dev/wine/generated/route.yaml"
    weight = ["spec", "rules", 0, "backendRefs", 0, "weight"]
    use(files, route, yaml.dump(put(documents[route], weight, float("inf")), Dumper=DUMPER))


def test_a_text_that_is_nested_too_deeply_is_named_with_the_rule(files: Mapping[str, str]) -> None:
    path = "stacks/dev/wine/generated/challenger.yaml"
    with pytest.raises(RepositoryError, match=r"stacks/dev/wine/generated .* nested more than 64 levels deep"):
        read_folder(_Files({**files, path: "[" * 65 + "]" * 65}), SETTINGS, "wine")


def use(files: Mapping[str, str], path: str, text: str) -> None:
    """Do what the worker and the controller do with a repository that has this file."""
    changed = _Files({**files, path: text})
    for action in (
        lambda: list_models_with_challenger(changed, SETTINGS),
        lambda: str(read_folder(changed, SETTINGS, "wine")),
        lambda: edit_challenger(changed, SETTINGS, ModelVersion("wine", "3")),
        lambda: edit_challenger(changed, SETTINGS, ModelVersion("other", "1")),
    ):
        with suppress(RepositoryError):
            action()


def places(value: Any) -> Iterator[list[Any]]:
    """The path of every value in a document, by keys and indices."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield [key]
        yield from ([key, *rest] for rest in places(inner))


def put(document: Any, place: Sequence[Any], value: Any) -> Any:
    """A copy of the document with another value at a place."""
    changed = copy.deepcopy(document)
    target = changed
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    return changed
