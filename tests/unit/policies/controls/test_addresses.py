"""Which addresses mean the whole Internet, and which ports are for administration.

Proves how network controls of both clouds read ranges and tags. Does not prove how clouds combine several rules: each
rule is evaluated separately.
"""

import pytest

from policies.controls.addresses import has_admin_port, is_whole_internet


@pytest.mark.parametrize(
    "address",
    ["*", "Any", "Internet", "0.0.0.0", "0.0.0.0/0", "::/0", "0.0.0.0/1", "64.0.0.0/2", "2000::/3"],  # noqa: S104 (rejected)
)
def test_whole_internet(address: str) -> None:
    assert is_whole_internet(address)


@pytest.mark.parametrize("address", ["10.0.0.0/8", "203.0.113.7", "203.0.113.0/24", "fc00::/7", "VirtualNetwork", ""])
def test_named_ranges(address: str) -> None:
    assert not is_whole_internet(address)


def test_ports() -> None:
    assert has_admin_port(22.0, 22.0)
    assert has_admin_port("3000", "4000")
    assert not has_admin_port(443, 443)
    assert not has_admin_port(None, None)
    assert not has_admin_port("http", "https")
