"""The policy pack as a separate folder for other projects: `python -m policies.distribution FOLDER` writes it.

The folder contains the controls, the package of this project that they need (`kernel`), their requirements from the
lock file, and the list of controls. It contains none of this project's exceptions.
"""

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[1]
_PACKAGES: Final = ("kernel", "policies")
# Files that need the rest of the project: its exceptions, the page and this module.
_OMITTED: Final = ("__pycache__", "exceptions.yaml", "catalogue.py", "distribution.py")
_DESCRIPTION: Final = "PulumiPolicy.yaml"

REQUIREMENTS: Final = ("pulumi", "pulumi-policy", "pyyaml")
"""The distributions that the pack imports, as the lock file names them."""

_MAIN: Final = "__main__.py"
_START: Final = '''"""Starts the policy pack, which is the package `policies` in this folder. Pulumi runs this file."""

import runpy

runpy.run_module("policies", run_name="__main__")
'''
_NO_EXCEPTIONS: Final = """# The pack has no exceptions of its own: name your own file in the pack's configuration.
[]
"""


def write_pack(folder: Path) -> None:
    """Write the pack into a folder, and replace an existing pack. Raises ValueError if the folder has other files."""
    if folder.exists() and any(folder.iterdir()) and not _is_written(folder):
        raise ValueError(f"{folder} has files and is not a policy pack: name a new or an empty folder.")
    for package in _PACKAGES:
        shutil.rmtree(folder / package, ignore_errors=True)
        shutil.copytree(_ROOT / package, folder / package, ignore=shutil.ignore_patterns(*_OMITTED))
    (folder / "policies" / "exceptions.yaml").write_text(_NO_EXCEPTIONS, encoding="utf-8")
    description = (_ROOT / "policies" / _DESCRIPTION).read_text(encoding="utf-8")
    (folder / _DESCRIPTION).write_text(description.replace("../.venv", ".venv"), encoding="utf-8")
    (folder / _MAIN).write_text(_START, encoding="utf-8")
    lock = (_ROOT / "requirements.txt").read_text(encoding="utf-8")
    (folder / "requirements.txt").write_text(select_requirements(lock), encoding="utf-8")
    (folder / "docs").mkdir(exist_ok=True)
    shutil.copy(_ROOT / "docs" / "controls.md", folder / "docs")
    shutil.copy(_ROOT / "LICENSE", folder)


def select_requirements(lock: str) -> str:
    """The part of a lock file that the pack needs: its requirements and their dependencies, with the digests."""
    blocks = dict(_read_blocks(lock))
    needed = set(REQUIREMENTS)
    while True:
        more = {name for name, block in blocks.items() if name not in needed and needed & _list_dependents(block)}
        if not more:
            break
        needed |= more
    return "".join(blocks[name] for name in sorted(needed & blocks.keys()))


def _is_written(folder: Path) -> bool:
    """Whether this module wrote the folder, so that it may be overwritten. The folder's environment is not touched."""
    start = folder / _MAIN
    return start.is_file() and start.read_text(encoding="utf-8") == _START


def _read_blocks(lock: str) -> Iterator[tuple[str, str]]:
    """Each distribution's name and its lines: the requirement, the digests, and the comment with its dependents."""
    for block in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]:
        yield re.split(r"[=\[; ]", block, maxsplit=1)[0].lower(), block


def _list_dependents(block: str) -> set[str]:
    lines = (line.strip() for line in block.splitlines())
    comments = [line.lstrip("# ").removeprefix("via ") for line in lines if line.startswith("#")]
    return {comment.split("[")[0].lower() for comment in comments}


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status."""
    folder = Path(next(iter(arguments), "dist/policy-pack"))
    try:
        write_pack(folder)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"The policy pack is in {folder}: docs/adopt-policies.md says how another project uses it.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
