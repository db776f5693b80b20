"""The map in docs/ARCHITECTURE.md and the folders are the same."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
_COMMENT = re.compile(r" {3,}\S.*$")
"""A remark at the end of a line of the map, after at least three spaces."""


def test_the_map_names_every_module_and_no_other() -> None:
    modules = {
        path.relative_to(ROOT / "tasks").with_suffix("").as_posix()
        for path in (ROOT / "tasks").rglob("*.py")
        if path.name != "__init__.py"
    }
    assert modules == _mapped()


def test_every_path_in_the_table_of_features_exists() -> None:
    """Paths with `<placeholders>` are files to be added."""
    paths = re.findall(r"`((?:tasks|flows|blocks|deployments|tests)/[^`\s]*)`", DOCUMENT)
    concrete = [path for path in paths if not set("<*") & set(path)]
    assert len(concrete) > 30
    assert [] == [path for path in concrete if not (ROOT / path).exists()]


def _mapped() -> set[str]:
    """The modules of the map, as paths below `tasks/`."""
    tree = DOCUMENT.split("```\ntasks/\n")[1].split("```")[0]
    modules: set[str] = set()
    parents: list[str] = []
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        words = line.split("   ")[0].split() if indent == 2 and ".py" in line else _words(line)
        if words and words[0].endswith("/"):
            parents = [*parents[: indent // 2 - 1], words.pop(0)]
        modules |= {f"{''.join(parents)}{word.removesuffix('.py')}" for word in words}
    return modules


def _words(line: str) -> list[str]:
    match = re.fullmatch(r"( *(?:\w+/ +)?)(.*)", line)
    assert match is not None
    folder, names = match.groups()
    return [*folder.split(), *_COMMENT.sub("", names).split()]
