"""Which addresses mean the whole Internet, and which ports mean administrators.

Proves the reading of ranges and tags that network controls of both clouds share. Does not prove how clouds merge
several rules: each rule is read by itself.
"""

import pytest

from policies.addresses import has_admin_port, is_anywhere


@pytest.mark.parametrize(
    "address",
    ["*", "Any", "Internet", "0.0.0.0", "0.0.0.0/0", "::/0", "0.0.0.0/1", "64.0.0.0/2", "2000::/3"],  # noqa: S104 (refused)
)
def test_whole_internet(address: str) -> None:
    assert is_anywhere(address)


@pytest.mark.parametrize("address", ["10.0.0.0/8", "203.0.113.7", "203.0.113.0/24", "fc00::/7", "VirtualNetwork", ""])
def test_somewhere_in_particular(address: str) -> None:
    assert not is_anywhere(address)


def test_ports() -> None:
    assert has_admin_port(22.0, 22.0)
    assert has_admin_port("3000", "4000")
    assert not has_admin_port(443, 443)
    assert not has_admin_port(None, None)
    assert not has_admin_port("http", "https")
