"""docs/MODULES.md lists every module with the first paragraph of its docstring.

`python -m tests.unit.test_module_list` writes it.
"""

from __future__ import annotations

import ast
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "MODULES.md"
_FOLDERS = ("deployments", "flows", "tasks", "blocks")
_HEAD = """\
# Modules

The first paragraph of every module's docstring, folder by folder, and the names of its numeric limits.
[ARCHITECTURE.md](ARCHITECTURE.md) says how the folders depend on each other. `python -m tests.unit.test_module_list`
writes this file.
"""


def test_the_list_of_modules_is_current() -> None:
    assert listed() == DOCUMENT.read_text(), "python -m tests.unit.test_module_list"


def listed() -> str:
    """The text of docs/MODULES.md."""
    paths = sorted(
        (path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.py")),
        key=lambda path: (path.parent, path.name),
    )
    return _HEAD + "".join(_section(folder, list(found)) for folder, found in groupby(paths, lambda path: path.parent))


def _section(folder: Path, paths: list[Path]) -> str:
    rows = "".join(f"- `{path.stem}`: {_purpose(path)}{_numbers(path)}\n" for path in paths if path.stem != "__init__")
    purpose = _purpose(folder / "__init__.py")
    return f"\n## {folder.relative_to(ROOT).as_posix()}/\n\n{purpose}\n\n{rows}" if rows else ""


def _purpose(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def _numbers(path: Path) -> str:
    names = [
        node.targets[0].id
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if node.targets[0].id.isupper() and _is_number(node.value)
    ]
    return f" Limits: {', '.join(f'`{name}`' for name in names)}." if names else ""


def _is_number(value: ast.expr) -> bool:
    """True for an expression of numbers alone, like `8 * 1024`."""
    leaves = [node for node in ast.walk(value) if not isinstance(node, ast.BinOp | ast.operator | ast.unaryop)]
    return all(
        isinstance(leaf, ast.UnaryOp) or (isinstance(leaf, ast.Constant) and type(leaf.value) in (int, float))
        for leaf in leaves
    )


if __name__ == "__main__":
    DOCUMENT.write_text(listed())
