"""The documentation's site builds without a warning, its links have a target, and the proofs that it names exist.

MkDocs is the real one, in the environment that `make docs-site` creates; without it the build is skipped. Not proven:
that the content of a page is true, except where other tests compare it with the code.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
MKDOCS = ROOT / ".venv-docs" / "bin" / "mkdocs"
WORDS = ("rehearsed", "real parts", "real analysis", "unit", "declared", "estimates", "objects rehearsed")


class Page(HTMLParser):
    """The anchors of a page, and its references."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.references: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            if name in ("href", "src") and value and tag in ("a", "img", "link", "script"):
                self.references.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not MKDOCS.exists():
        pytest.skip("MkDocs is not installed: `make docs-site` installs it")
    folder = tmp_path_factory.mktemp("site")
    command = [str(MKDOCS), "build", "--strict", "--site-dir", str(folder)]
    reply = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert reply.returncode == 0, reply.stderr
    return folder


def broken_links(site: Path) -> Iterator[str]:
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    for path, page in pages.items():
        for reference in page.references:
            url = urlsplit(reference)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                yield f"{path.relative_to(site)}: {reference}"
            elif url.fragment and target in pages and unquote(url.fragment) not in pages[target].anchors:
                yield f"{path.relative_to(site)}: {reference}: there is no such anchor"


@pytest.mark.process
def test_the_site_builds_and_its_links_have_targets(site: Path) -> None:
    assert len(list(site.rglob("*.html"))) > 80
    assert sorted(broken_links(site)) == []


@pytest.mark.process
@pytest.mark.parametrize("page", ["index", "parity", "security-model", "verified", "runbooks/ModelErrorRateHigh"])
def test_a_page_of_every_kind_exists(site: Path, page: str) -> None:
    assert "<h1" in (site / f"{page}.html").read_text()


def test_every_proof_that_is_named_exists() -> None:
    text = (ROOT / "docs" / "verified.md").read_text()
    rows = [row.strip("| ").split(" | ") for row in text.splitlines() if row.startswith("| ") and "`" in row]
    claims = [row for row in rows if len(row) == 3]
    assert len(claims) > 40
    for claim, how, places in claims:
        assert how.startswith(WORDS) or "rehearsed" in how, claim
        for place in re.findall(r"`([^`]+)`", places):
            assert (ROOT / place).exists(), f"{claim}: {place}"
