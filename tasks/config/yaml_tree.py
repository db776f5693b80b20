"""YAML with line numbers: a document as plain values, and the line on which each of them stands.

`${VAR}` and `${VAR:-default}` are replaced inside scalars after parsing, so that a value can never become YAML; `$$` is
a dollar sign. A plain scalar gets its type from the replaced text: `port: ${PORT}` is a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tasks.model.errors import ConfigError

Place = tuple[str | int, ...]
_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass(slots=True)
class Tree:
    """A document's value, the line of every key and item by its path, and what is wrong with it so far."""

    file: str
    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    spoiled: set[Place] = field(default_factory=set)

    def complain(self, path: Place, sentence: str) -> None:
        """Add a problem at the path's line, or its nearest parent's; what follows from it need not be said."""
        self.spoiled.add(path)
        self.problems.append(f"{self.file}:{self.line(path)}: {sentence}")

    def line(self, path: Place) -> int:
        """The line of a path, or of the nearest part of it that exists; the first line is 1."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str, *, file: str, environment: Mapping[str, str]) -> Tree:
    """Parse a YAML mapping. Raises `ConfigError` when it is not YAML or not a mapping; other problems are collected."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{file}:{line}: not valid YAML: {error.problem}.") from None
    except yaml.YAMLError:
        raise ConfigError(f"{file}: not valid YAML.") from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{file}: a configuration is a mapping of keys to values; this is none.")
    tree = Tree(file)
    tree.value = _Builder(tree, environment).build(node, ())
    return tree


def path_text(path: Place) -> str:
    """A path as messages name it: `storage.path`, `source.topics.include[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class _Builder:
    def __init__(self, tree: Tree, environment: Mapping[str, str]) -> None:
        self._tree = tree
        self._environment = environment
        self._loader = yaml.SafeLoader("")

    def build(self, node: yaml.Node, path: Place) -> Any:
        self._tree.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            place = (*path, key)
            if key in found:
                self._tree.complain(
                    path, f"{path_text(place)!r} stands here twice (again on line {key_node.start_mark.line + 1})."
                )
            self._tree.lines[place] = key_node.start_mark.line + 1
            found[key] = self.build(value_node, place)
        return found

    def _scalar(self, node: yaml.ScalarNode, path: Place) -> Any:
        text = self._replaced(node.value, path)
        tag = node.tag
        if text != node.value and node.style is None:
            tag = str(self._loader.resolve(yaml.ScalarNode, text, (True, False)))  # type: ignore[no-untyped-call]
        if tag.endswith(":timestamp"):  # a date is nobody's setting here: keep what was written
            return text
        try:
            return self._loader.construct_object(yaml.ScalarNode(tag, text, node.start_mark, node.end_mark))
        except (yaml.YAMLError, ValueError):
            self._tree.complain(path, f"{path_text(path)!r} has a value that is not readable.")
            return None

    def _replaced(self, text: str, path: Place) -> str:
        def value(match: re.Match[str]) -> str:
            name, default = match.group(1), match.group(2)
            if name is None:
                return "$"
            if name in self._environment:
                return self._environment[name]
            if default is None:
                self._tree.complain(path, f"{path_text(path)!r}: the environment variable {name} is not set.")
            return default or ""

        return _VARIABLE.sub(value, text)
