"""docs/controls.md lists the pack's controls.

Proves that the page on disk is the one the controls generate, and that every control is on it. Does not prove that
the public rules named as references require the same.
"""

from policies import controls
from policies.catalogue import PAGE, page


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m policies.catalogue --write"


def test_every_control_is_on_the_page_once() -> None:
    text = page()
    for control in controls():
        assert text.count(f"| `{control.id}` |") == 1
