"""Parses YAML with line numbers: a document becomes plain values, and the line of each value is known.

`${VAR}` and `${VAR:-default}` in scalars are replaced after parsing, so that the value of a variable cannot become YAML
structure. The default is also used if the variable is empty, as in a shell. `$${` is a literal `${`. A scalar with
variables gets the type of its text after the replacement (`port: ${PORT}` is a number), also if it is in quotes,
because YAML requires the quotes in `{port: "${PORT}"}`. The text is kept for fields that need text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from tasks.model.control_characters import control_character_problem
from tasks.model.errors import ConfigError

Place = tuple[str | int, ...]
"""The path to a value: keys and list positions from the top of the document."""

_VARIABLE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")
_QUOTED_FROM_FILE = re.compile(r"(alias|tag handle) .*")
"""The parts of PyYAML's messages that quote the file. In `password: *x` the alias can be a password."""


class Problem(NamedTuple):
    """One problem of a file, with its place and its line (the first line is 1)."""

    place: Place
    line: int
    sentence: str


_CURES: Mapping[str, str] = {
    "found character '\\t' that cannot start any token": "a line begins with a tab; indent it with spaces",
    "expected alphabetic or numeric character, but found ']'": "a pattern that begins with * needs quotes: '*'",
    "expected alphabetic or numeric character, but found '.'": "a pattern that begins with * needs quotes: '*.x'",
    "but found another document": "a second document begins with '---'; write one document per file",
}
"""Sentences that say what to do, instead of messages of PyYAML that do not."""


@dataclass(slots=True)
class Tree:
    """A document: its value, the lines of all keys and items by their places, and the problems that were found so
    far."""

    file: str
    value: dict[str, Any] = field(default_factory=dict, repr=False)
    lines: dict[Place, int] = field(default_factory=dict)
    texts: dict[Place, str] = field(default_factory=dict, repr=False)
    """The texts of all scalars that contain variables, after these were replaced. `value` contains the YAML values of
    these texts."""

    problems: list[Problem] = field(default_factory=list)

    def add_problem(self, place: Place, sentence: str, *, line: int | None = None) -> None:
        """Add a problem. Without `line`, its line is that of the place, or of the nearest parent with a line."""
        self.problems.append(Problem(place, line or self.line(place), sentence))

    def has_problem_within(self, place: Place) -> bool:
        """Whether there is already a problem at the place or below it. A caller then adds no problem that follows from
        it."""
        return any(problem.place[: len(place)] == place for problem in self.problems)

    def line(self, place: Place) -> int:
        """The line of a place, or of its nearest parent with a line. The first line is 1."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def report(self) -> str:
        """The problems in the order of their lines in the file, one in each line. Repeated ones are left out."""
        ordered: Iterable[Problem] = sorted(self.problems, key=lambda problem: problem.line)
        return "\n".join(dict.fromkeys(f"{self.file}:{problem.line}: {problem.sentence}" for problem in ordered))


def parse(text: str, *, file: str, environment: Mapping[str, str]) -> Tree:
    """Parse a YAML mapping. Raises `ConfigError` if the text is empty, not YAML or not a mapping. Other problems are in
    the tree."""
    node = _compose(text)
    if isinstance(node, tuple):
        line, problem = node
        raise ConfigError(f"{file}:{line}: not valid YAML: {problem}.")
    if node is None:
        raise ConfigError(f"{file}: the file is empty; a configuration is a mapping of keys to values.")
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{file}: a configuration is a mapping of keys to values; this file is not a mapping.")
    tree = Tree(file)
    tree.value = _Builder(tree, environment).mapping(node, ())
    return tree


def path_text(place: Place) -> str:
    """A place in the form for messages: `storage.path`, `source.topics.include[0]`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _compose(text: str) -> yaml.Node | tuple[int, str] | None:
    """The document's node, or (line, problem). PyYAML's errors are not chained, because they contain the file's text.
    None if the text is empty."""
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = _QUOTED_FROM_FILE.sub(r"\1", error.problem or "it cannot be read")
        problem = _CURES.get(problem, problem)
        has_variable = "${" in "".join(text.splitlines()[line - 1 : line])
        return line, f"{problem}; within {{ }} and [ ] a variable needs quotes" if has_variable else problem
    except yaml.reader.ReaderError as error:
        return text.count("\n", 0, error.position) + 1, "it contains a control character"
    except RecursionError:
        return 1, "it is nested too deeply"
    return node


class _Builder:
    """Makes plain values from YAML nodes, and adds their lines, texts and problems to the tree."""

    def __init__(self, tree: Tree, environment: Mapping[str, str]) -> None:
        self._tree = tree
        self._environment = environment
        self._loader = yaml.SafeLoader("")
        self._parents: list[yaml.Node] = []

    def mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag.endswith(":merge"):
                sentence = "merge keys ('<<') are not available: write the keys of the other mapping here."
                self._tree.add_problem(place, sentence, line=line)
                continue
            if not isinstance(key_node, yaml.ScalarNode) or not str(key_node.value).isprintable():
                sentence = "a key must be text; put a value that begins with '{' or '[' in quotes."
                self._tree.add_problem(place, sentence, line=line)
                continue
            key = str(key_node.value)
            inner = (*place, key)
            if key in found:
                first = self._tree.lines[inner]
                self._tree.add_problem(inner, f"duplicate key {path_text(inner)!r} (first on line {first}).", line=line)
                continue
            self._tree.lines[inner] = line
            found[key] = self._build(value_node, inner)
        return found

    def _build(self, node: yaml.Node, place: Place) -> Any:
        self._tree.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place)
        if any(node is one for one in self._parents):
            self._tree.add_problem(place, f"{path_text(place)!r} contains itself through an alias.")
            return None
        self._parents.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, place)
            return [self._build(item, (*place, index)) for index, item in enumerate(node.value)]
        finally:
            self._parents.pop()

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        text, tag = self._replaced(node.value, place), node.tag
        self._check_control_characters(text, node, place)
        if place in self._tree.texts:
            tag = str(self._loader.resolve(yaml.ScalarNode, text, (True, False)))  # type: ignore[no-untyped-call]
            if text and tag.endswith(":null"):  # only an empty variable counts as a missing value
                return text
        if tag.endswith(":timestamp"):  # no key needs a date, so the text is kept
            return text
        try:
            value = self._loader.construct_object(yaml.ScalarNode(tag, text, node.start_mark, node.end_mark))
            str(value).encode()  # fails for a lone surrogate, and for a number of thousands of digits
        except (yaml.YAMLError, ValueError, LookupError):
            value = b""
        if isinstance(value, bytes):
            sentence = f"{path_text(place)!r} has a value that cannot be read; put text in quotes."
            self._tree.add_problem(place, sentence)
            return None
        return value

    def _check_control_characters(self, text: str, node: yaml.ScalarNode, place: Place) -> None:
        """Add a problem if the text contains a control character. No setting needs one. They come from editors, from
        `echo`, and from the line ends of environment files."""
        problem = control_character_problem(text)
        if problem is None:
            return
        names = [match.group(1) for match in _VARIABLE.finditer(node.value) if match.group(1)]
        origin = f"; see the environment variable {' and '.join(names)}" if place in self._tree.texts else ""
        self._tree.add_problem(place, f"{path_text(place)!r} {problem}: remove it{origin}.")

    def _replaced(self, text: str, place: Place) -> str:
        def value(match: re.Match[str]) -> str:
            name, default = match.group(1), match.group(2)
            if match.group() == "$${":
                return "${"
            if name is None:
                sentence = "write a variable as ${NAME} or ${NAME:-default}, and a literal '${' as '$${'"
                self._tree.add_problem(place, f"{path_text(place)!r}: {sentence}.")
                return match.group()
            self._tree.texts[place] = ""
            found = self._environment.get(name)
            if found is None and default is None:
                self._tree.add_problem(place, f"{path_text(place)!r}: the environment variable {name} is not set.")
                return match.group()  # an empty text would cause more problems
            return found or default or ""

        replaced = _VARIABLE.sub(value, text)
        if place in self._tree.texts:
            self._tree.texts[place] = replaced
        return replaced
