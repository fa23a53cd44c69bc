"""Changes settings in the text of a stack's file, and preserves everything else: comments, order, style."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from kernel import yaml_scalars
from kernel.stack_file import StackFile

_MERGE = "<<"
_TEXT = "tag:yaml.org,2002:str"
_INDENT = 2
_WIDTH = 1 << 20  # so that no line is folded

_Scalar = str | int | float | bool

_Edit = tuple[int, int, list[str]]
"""First line, the line after the last, and the lines that replace them."""


def replace_config(text: str, file: StackFile, config: Mapping[str, Any], complete_key: Callable[[str], str]) -> str:
    """The text of a stack's file with new settings.

    file          the parsed content of `text`
    config        the new settings, keyed by full key
    complete_key  returns the full key for a key in the file
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    node = _find_config(root)
    if node is None:
        others = {key: value for key, value in file.content.items() if key != "config"}
        return "".join(_render({**others, "config": dict(config)}, 0, "\n"))
    lines = text.splitlines(keepends=True)
    if not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    for start, end, new in sorted(_Editor(lines).edit(node, file.config, config, complete_key), reverse=True):
        lines[start:end] = new
    return "".join(lines)


class _Editor:
    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._newline = "\r\n" if lines[0].endswith("\r\n") else "\n"

    def edit(
        self, node: yaml.MappingNode, old: Mapping[str, Any], new: Mapping[str, Any], complete_key: Callable[[str], str]
    ) -> list[_Edit]:
        """The edits that change the mapping of a node from `old` to `new`."""
        edits: list[_Edit] = []
        own = [item for item in node.value if item[0].value != _MERGE]
        for key_node, value_node in own:
            key, start = complete_key(key_node.value), key_node.start_mark.line
            end = _find_last_line(key_node, value_node) + 1
            if key not in new:
                edits.append((start, end, []))
            elif old.get(key) == new[key]:
                continue
            elif isinstance(new[key], Mapping) and _is_block(value_node) and value_node.start_mark.line > start:
                edits += self.edit(value_node, old[key], new[key], str)
            elif _is_on_line(value_node, start) and isinstance(new[key], _Scalar):
                edits.append((start, end, [self._replace_scalar(value_node, new[key])]))
            else:
                edits.append(
                    (start, end, _render({key_node.value: new[key]}, key_node.start_mark.column, self._newline))
                )
        known = {complete_key(key_node.value) for key_node, _ in own}
        added = {key: value for key, value in new.items() if key not in known and old.get(key) != value}
        if added:
            after = max(_find_last_line(*item) for item in node.value) + 1
            edits.append((after, after, _render(added, node.value[0][0].start_mark.column, self._newline)))
        return edits

    def _replace_scalar(self, node: yaml.Node, value: _Scalar) -> str:
        """The line of a scalar with another value in its place; a comment after it is preserved."""
        line = self._lines[node.start_mark.line]
        [text] = _render({"key": value}, 0, "")
        return line[: node.start_mark.column] + text.partition(": ")[2] + line[node.end_mark.column :]


def _find_config(root: yaml.Node | None) -> yaml.MappingNode | None:
    """The mapping of the settings; None if it is not in block style."""
    if root is None or not _is_block(root):
        return None
    found = next((value for key, value in root.value if key.value == "config"), None)
    return found if found is not None and _is_block(found) else None


def _is_block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and not node.flow_style and bool(node.value)


def _is_on_line(node: yaml.Node, line: int) -> bool:
    """Whether a node is a scalar that starts and ends on this line, and is not empty."""
    return isinstance(node, yaml.ScalarNode) and node.start_mark.line == node.end_mark.line == line and bool(node.value)


def _find_last_line(key: yaml.Node, value: yaml.Node) -> int:
    """The last line of an entry of a mapping; an alias has the marks of its anchor, which is elsewhere."""
    if value.start_mark.index < key.start_mark.index:
        return int(key.end_mark.line)
    return _find_end(value)


def _find_end(node: yaml.Node) -> int:
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        if isinstance(node, yaml.MappingNode):
            return max(_find_last_line(*item) for item in node.value)
        return max(_find_end(item) for item in node.value)
    # A block scalar, after `|` or `>`, ends at the beginning of the next line.
    return int(node.end_mark.line) - (node.end_mark.column == 0 and node.end_mark.line > node.start_mark.line)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 the base's name
        return True


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    """A scalar with quotes if the engine would otherwise read a different value."""
    is_plain = "\n" not in value and yaml_scalars.resolve(yaml_scalars.PLAIN, value) == value
    return dumper.represent_scalar(_TEXT, value, style=None if is_plain else '"')


_Dumper.add_representer(str, _represent_text)


def _render(values: Mapping[str, Any], indent: int, newline: str) -> list[str]:
    text = yaml.dump(
        dict(values),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=_WIDTH,
        default_flow_style=False,
        indent=_INDENT,
    )
    return [" " * indent + line + newline for line in text.splitlines()]
