"""docs/controls.md lists the pack's controls.

Proves that the page on disk is generated from the controls, and that every control is on it. Does not prove that the
public rules that are named as references require the same.
"""

import re
from pathlib import Path

import pytest

from policies import contents, controls
from policies.catalogue import FRAMEWORKS, PAGE, page


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make docs"


def test_every_control_is_on_the_page_once() -> None:
    text = page()
    for control in controls():
        assert text.count(f"\n| `{control.id}` |") == 1


def test_every_reference_to_a_framework_is_in_its_table_and_no_framework_is_empty() -> None:
    text = page()
    for name, prefix in FRAMEWORKS.items():
        section = text.partition(f"### {name}\n")[2].partition("\n#")[0]
        referring = {each.id for each in controls() for reference in each.references if reference.startswith(prefix)}
        assert referring, f"no control refers to {name}"
        assert referring == set(re.findall(r"`([a-z0-9-]+)`", section))


def test_every_module_with_a_control_is_in_the_contents() -> None:
    folder = Path(contents.__file__).parent / "controls"
    modules = {
        f"policies.controls.{path.parent.name}.{path.stem}"
        for path in folder.glob("*/*.py")
        if "@control(" in path.read_text(encoding="utf-8")
    }
    missing = modules - {module.__name__ for _, module in contents.SERVICES}
    assert not missing, "import these modules and list them in SERVICES of policies/contents.py"


def test_a_control_whose_module_is_not_in_the_contents_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    (_, module), *others = contents.SERVICES
    monkeypatch.setattr(contents, "SERVICES", tuple(others))
    with pytest.raises(ValueError, match=rf"is in {module.__name__}, which SERVICES in policies/contents\.py"):
        controls()
