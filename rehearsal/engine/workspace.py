"""The rehearsal's copy of a Pulumi project for the engine: a Pulumi.yaml and stack files in a separate folder.

Every command of the engine runs in that folder, so everything that it writes or deletes, such as a salt or a setting,
is only there. The program is not copied: `main` names its folder. Source of the files that the engine reads:
https://github.com/pulumi/pulumi/blob/v3.255.0/sdk/go/common/workspace/paths.go and
https://www.pulumi.com/docs/iac/concepts/projects/project-file/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from kernel.yaml_document import DocumentError
from rehearsal.atomic_file import write_if_changed
from rehearsal.console import UserError
from rehearsal.engine.stack_copy import StackCopy

PROJECT_FILES = ("Pulumi.json", "Pulumi.yaml", "Pulumi.yml")
"""The names of a project's file, in the engine's order."""

# Options of a language runtime that are paths.
_PATH_OPTIONS = ("virtualenv", "binary")
_TEXT = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class Workspace:
    """
    project_file  of the project
    folder        where the engine works
    """

    project_file: Path
    folder: Path

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.project_file.parent

    def refresh(self) -> dict[str, str]:
        """Update the folder from the project; returns the errors in stack files, which are skipped, keyed by stack.

        Raises UserError if the project's file cannot be read.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        node = self._read_project()
        write_if_changed(self.folder / "Pulumi.yaml", yaml.serialize(self._detach(node), allow_unicode=True))
        faults = {}
        for stack in self._stacks(node):
            try:
                self._copy(node, stack).refresh()
            except DocumentError as error:
                faults[stack] = str(error)
        return faults

    def stack_copy(self, stack: str) -> StackCopy:
        """The copy of a stack's file."""
        return self._copy(self._read_project(), stack)

    def adopt(self, file: Path) -> Path:
        """The copy of a settings file that the user named. Raises DocumentError if it cannot be read."""
        node = self._read_project()
        copies = (self._copy(node, stack) for stack in self._stacks(node))
        own = next((copy for copy in copies if copy.source.resolve() == file.resolve()), None)
        name = "-".join(file.parts[1:])
        places = (self.folder / "files" / name, self.folder / "base" / "files" / name)
        copy = own or StackCopy(_get_text(node, "name"), file, str(file), *places)
        copy.path.parent.mkdir(exist_ok=True)
        copy.refresh()
        return copy.path

    def copies(self) -> list[StackCopy]:
        """The copies of all stacks, including those that exist only in the rehearsal."""
        node = self._read_project()
        here = {path.name.split(".", 1)[1].rsplit(".", 1)[0] for path in self.folder.glob("Pulumi.*.yaml")}
        return [self._copy(node, stack) for stack in sorted({*here, *self._stacks(node)})]

    def patch(self) -> str:
        """The changes in the copies, as a patch for `git apply` in the project's folder."""
        return "".join(copy.patch() for copy in self._readable())

    def secrets(self) -> list[str]:
        """Keys of settings that were encrypted for the rehearsal."""
        return sorted({key for copy in self._readable() for key in copy.changes().secrets})

    def _readable(self) -> Iterator[StackCopy]:
        for copy in self.copies():
            try:
                copy.changes()
            except DocumentError:
                continue
            yield copy

    def _read_project(self) -> yaml.MappingNode:
        try:
            node = yaml.compose(self.project_file.read_text(), Loader=yaml.SafeLoader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"{self.project_file} cannot be read: {error}") from None
        if not isinstance(node, yaml.MappingNode):
            raise UserError(f"{self.project_file} has to be a mapping, such as `name: shop`.")
        return node

    def _detach(self, node: yaml.MappingNode) -> yaml.MappingNode:
        """The project's file without its backend, and with absolute paths."""
        entries = {key.value: (key, value) for key, value in node.value}
        for key in ("backend", "main", "stackConfigDir"):
            entries.pop(key, None)
        if isinstance(_get(node, "config"), yaml.ScalarNode):  # an old spelling of stackConfigDir
            entries.pop("config")
        main = self.root / _get_text(node, "main")
        entries["main"] = (_text("main"), _text(str(main)))
        for path in _find_paths(node):
            if path.value and not Path(path.value).is_absolute():
                path.value = str(self.root / path.value)
        return yaml.MappingNode(node.tag, list(entries.values()))

    def _stacks_folder(self, node: yaml.MappingNode) -> Path:
        old = _get_text(node, "config")
        return self.root / (_get_text(node, "stackConfigDir") or old)

    def _stacks(self, node: yaml.MappingNode) -> list[str]:
        """Stacks that have a file."""
        suffix = self.project_file.suffix
        files = (path.name for path in self._stacks_folder(node).glob(f"Pulumi.*{suffix}"))
        return [name.removeprefix("Pulumi.").removesuffix(suffix) for name in files if name not in PROJECT_FILES]

    def _copy(self, node: yaml.MappingNode, stack: str) -> StackCopy:
        source = self._stacks_folder(node) / f"Pulumi.{stack}{self.project_file.suffix}"
        name = str(source.relative_to(self.root) if source.is_relative_to(self.root) else source)
        file = f"Pulumi.{stack}.yaml"
        return StackCopy(_get_text(node, "name"), source, name, self.folder / file, self.folder / "base" / file)


def find_project_file(folder: Path) -> Path | None:
    """The project file that the engine finds in a folder or above it; None if there is none."""
    for place in (folder, *folder.parents):
        for name in PROJECT_FILES:
            if (place / name).is_file():
                return place / name
    return None


def _get(node: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((value for name, value in node.value if name.value == key), None)


def _get_text(node: yaml.MappingNode, key: str) -> str:
    value = _get(node, key)
    return str(value.value) if isinstance(value, yaml.ScalarNode) else ""


def _text(value: str) -> yaml.ScalarNode:
    return yaml.ScalarNode(_TEXT, value)


def _find_paths(node: yaml.MappingNode) -> Iterator[yaml.ScalarNode]:
    """Paths that are relative to the project's file: options of the runtime, plugins, and local packages."""
    runtime = _get(node, "runtime")
    options = _get(runtime, "options") if isinstance(runtime, yaml.MappingNode) else None
    for key in _PATH_OPTIONS:
        option = _get(options, key) if isinstance(options, yaml.MappingNode) else None
        if isinstance(option, yaml.ScalarNode):
            yield option
    plugins = _get(node, "plugins")
    for _, kind in plugins.value if isinstance(plugins, yaml.MappingNode) else ():
        for plugin in kind.value if isinstance(kind, yaml.SequenceNode) else ():
            path = _get(plugin, "path") if isinstance(plugin, yaml.MappingNode) else None
            if isinstance(path, yaml.ScalarNode):
                yield path
    packages = _get(node, "packages")
    for _, package in packages.value if isinstance(packages, yaml.MappingNode) else ():
        source = _get(package, "source") if isinstance(package, yaml.MappingNode) else package
        if isinstance(source, yaml.ScalarNode) and source.value.startswith("."):
            yield source
