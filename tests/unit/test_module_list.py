"""docs/MODULES.md lists every module with the first paragraph of its docstring.

`python -m tests.unit.test_module_list` writes it.
"""

from __future__ import annotations

import ast
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "MODULES.md"
_FOLDERS = ("deployments", "flows", "tasks", "blocks")
_HEAD = """\
# Modules

The first paragraph of every module's docstring, folder by folder, and the names of its numeric limits: constants
that are numbers, durations or lists of numbers, and fields and parameters whose default or bound is a number above 1.
[ARCHITECTURE.md](ARCHITECTURE.md) says how the folders depend on each other. `python -m tests.unit.test_module_list`
writes this file.
"""


def test_the_list_of_modules_is_current() -> None:
    assert listed() == DOCUMENT.read_text(), "python -m tests.unit.test_module_list"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("_SIZE_BYTES = 8 << 10", ["_SIZE_BYTES"]),
        ("_SIZE_BYTES: Final = 8 << 10", ["_SIZE_BYTES"]),
        ("FULL_BYTES = FRAME_BYTES // 4 * 3", ["FULL_BYTES"]),
        ("LOWEST, HIGHEST = -1, 2.5", ["LOWEST", "HIGHEST"]),
        ("PAUSES_S = [1.0, 5.0]", ["PAUSES_S"]),
        ("_STATUSES = frozenset({400, 401})", ["_STATUSES"]),
        ("LEVELS = range(1, 23)", ["LEVELS"]),
        ("WAIT = timedelta(minutes=3)", ["WAIT"]),
        ("UNITS = {'s': 1_000}", ["UNITS"]),
        ("class Options:\n    deadline_ms: int = 120_000\n    is_set: bool = False", ["deadline_ms"]),
        ("class Code(IntEnum):\n    DENIED = 29", []),
        ("class Options:\n    workers: Annotated[int, Field(ge=1, le=64)] = 4", ["workers"]),
        (
            "def fetch(position, /, most: int = 10, *, wait_ms: int = 500, is_last: bool = True): ...",
            ["most", "wait_ms"],
        ),
        ("NAMES = ('a', 'b')\nDEFAULTS = Options()\nALL = FIRST | SECOND\nIS_SET = True\nNONE = ()", []),
    ],
)
def test_every_form_of_a_numeric_limit_is_listed(source: str, expected: list[str]) -> None:
    assert expected == limits_of(source)


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
    names = limits_of(path.read_text())
    return f" Limits: {', '.join(f'`{name}`' for name in names)}." if names else ""


def limits_of(source: str) -> list[str]:
    """The names of a module's numeric constants, and then of the fields and parameters whose default or bound is a
    number above 1."""
    tree = ast.parse(source)
    constants = [name for node in tree.body for name, value in _assigned(node) if name.isupper() and _is_number(value)]
    return list(dict.fromkeys([*constants, *(name for node in ast.walk(tree) for name in _limited(node))]))


def _assigned(node: ast.stmt) -> list[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return [(name, value)]
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            return [(ast.unparse(target), value) for target, value in zip(targets, values, strict=True)]
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return [(name, value)]
    return []


def _is_number(value: ast.expr) -> bool:
    """True for a number, an expression of numbers and constants like `8 * FRAME_BYTES`, a duration, and a tuple, a
    list, a set, a range or a mapping of numbers."""
    match value:
        case ast.Constant(value=number):
            return type(number) in (int, float)
        case ast.UnaryOp(operand=operand):
            return _is_number(operand)
        case ast.BinOp(left=left, right=right):
            operands = [side for side in (left, right) if not (isinstance(side, ast.Name) and side.id.isupper())]
            return bool(operands) and all(map(_is_number, operands))
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements) | ast.Dict(values=elements):
            return bool(elements) and all(map(_is_number, elements))
        case ast.Call(func=ast.Name(id="timedelta" | "range" | "frozenset"), args=args, keywords=keywords):
            return bool(args or keywords) and all(map(_is_number, [*args, *(one.value for one in keywords)]))
    return False


def _limited(node: ast.AST) -> list[str]:
    """The fields of a class, or the parameters of a function, whose default or bound is a number above 1."""
    match node:
        case ast.ClassDef(body=body):
            fields = [one for one in body if isinstance(one, ast.AnnAssign)]
            return [
                ast.unparse(one.target)
                for one in fields
                if (one.value is not None and _is_above_one(one.value)) or _has_bound(one)
            ]
        case ast.FunctionDef(args=ast.arguments(args=args, defaults=defaults, kwonlyargs=named, kw_defaults=values)):
            pairs = [*zip(args[len(args) - len(defaults) :], defaults, strict=True), *zip(named, values, strict=True)]
            return [parameter.arg for parameter, value in pairs if value is not None and _is_above_one(value)]
    return []


def _has_bound(field: ast.AnnAssign) -> bool:
    """True for a field like `workers: int = Field(4, le=64)`."""
    calls = [node for node in ast.walk(field) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Field"]
    numbers = [*(one.args[0] for one in calls if one.args), *(key.value for one in calls for key in one.keywords)]
    return any(map(_is_above_one, numbers))


def _is_above_one(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=int(number) | float(number)):
            return number > 1
    return isinstance(value, ast.BinOp) and _is_number(value)


if __name__ == "__main__":
    DOCUMENT.write_text(listed())
