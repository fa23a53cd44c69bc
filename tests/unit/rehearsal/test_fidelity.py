"""docs/fidelity.md matches the models, and no rule of a model is missing in it.

Proves the page against the models, and the reading of sources with an example module. Not proven: that a source
supports the rule.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from rehearsal import fidelity
from rehearsal.rule_sources import SourcedRule, read_rules, read_table
from rehearsal.simulator.aws import cloud as aws
from rehearsal.simulator.azure import cloud as azure

pytestmark = pytest.mark.usefixtures("without_collector")

MODELS = {**aws.MODELS, **azure.MODELS}
_EXAMPLE = '''
"""An example."""
from rehearsal.simulator.core.rules import matches, one_of

# Source: https://example.com/sizes
_SIZES = ("small", "large")
LIMITS = {"example:a/b:C": [one_of("limit", _SIZES, "")]}


def _check(request):
    """One thing. Source: https://example.com/check."""
    return None


def _check_all(request):
    return _check(request)


MODELS = (
    ResourceModel(
        "example:a/b:C",
        rules=(
            matches("name", "[a-z]+", "no"),
            one_of("size", _SIZES, "no"),
            _check_all,
            # https://example.com/other
            matches("other", "x", "no"),
        ),
        state_rules=(_check,),
        transitions=UNRESTRICTED,
        replace_on_changes=("name",),
        # https://example.com/lock
        one_writer=OneWriter("parents", "Conflict: {parent} is locked"),
    ),
)
'''


@pytest.fixture
def example(tmp_path: Path) -> Iterator[ModuleType]:
    file = tmp_path / "example_models.py"
    file.write_text(f"OneWriter = ResourceModel = lambda *_, **__: None\nUNRESTRICTED = ()\n{_EXAMPLE}")
    specification = importlib.util.spec_from_file_location("example_models", file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["example_models"] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules["example_models"]


def test_the_page_is_current() -> None:
    assert fidelity.PAGE.read_text(encoding="utf-8") == fidelity.page(), "run `make docs`"


def test_every_rule_of_a_model_is_on_the_page() -> None:
    counts = fidelity.count_rules()
    assert counts.keys() == MODELS.keys()
    for type_, model in MODELS.items():
        shared = 4 if type_ in azure.MODELS else 0
        declared = len(model.rules) + len(model.state_rules) + len(model.delete_rules)
        # Rules that a loop creates are one entry.
        assert declared <= shared or counts[type_] > 0, type_
    assert sum(counts.values()) > 480


def test_a_rule_has_the_sources_of_what_it_names(example: ModuleType) -> None:
    check, sizes = "https://example.com/check", "https://example.com/sizes"
    assert read_rules(example)["example:a/b:C"] == [
        SourcedRule("input", "matches `name`", (), "matches", "name"),
        SourcedRule("input", "one of `size`", (sizes,), "one of", "size"),
        SourcedRule("input", "check all", (check,), "check all"),
        SourcedRule("input", "matches `other`", ("https://example.com/other",), "matches", "other"),
        SourcedRule("what exists", "check", (check,), "check"),
        SourcedRule("replacement", "a change of what replaces it", ()),
        SourcedRule("simultaneous changes", "one at a time in a parent", ("https://example.com/lock",)),
    ]
    (limit,) = read_table(example, "LIMITS", "quota")["example:a/b:C"]
    assert (limit.about, limit.text, limit.sources) == ("quota", "one of `limit`", (sizes,))
