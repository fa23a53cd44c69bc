"""MkDocs' hooks for pages that are elsewhere in the tree, and for links that lead out of the documentation.

On GitHub a page links to files of the project. In the site, pages such as runbooks keep their links, and what is no
page becomes plain text, since the site does not say where the project is hosted. A link to a file that does not exist
fails the build.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# Pages outside of docs/, by their path in the project.
PAGES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    ".github/SECURITY.md": "security.md",
    **{
        f"platform/runbooks/{path.name}": f"runbooks/{path.name}"
        for path in sorted((ROOT / "platform" / "runbooks").glob("*.md"))
    },
}
_PROJECT_PATHS = {page: path for path, page in PAGES.items()}
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"(```.*?```)", re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are elsewhere."""
    for path, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to the site's pages, and take those away that lead to none."""
    uri = page.file.src_uri
    source = _PROJECT_PATHS.get(uri, f"docs/{uri}")
    parts = _FENCE.split(markdown)
    return "".join(
        part if index % 2 else _LINK.sub(lambda found: _lead(found, source, uri), part)
        for index, part in enumerate(parts)
    )


def _lead(found: re.Match[str], source: str, uri: str) -> str:
    text, target, anchor = found[1], found[2], found[3] or ""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if not (ROOT / path).exists():
        raise ValueError(f"{source} links to {target}, which does not exist")
    if (ROOT / path).is_dir() and (ROOT / path / "README.md").exists():
        path = f"{path}/README.md"
    page = PAGES.get(path, "")
    if path.startswith("docs/") and not (path.startswith("docs/examples/") and path.endswith(".md")):
        page = path.removeprefix("docs/")
    if not page:
        return text
    return f"[{text}]({posixpath.relpath(page, posixpath.dirname(uri) or '.')}{anchor})"
