"""The table in docs/LIMITS.md of what was tried: the versions that the tests start, and a row for each `tried` marker.

`python -m tests.unit.test_limits` writes it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.kafka import DEFAULT_VERSION
from tests.support.store_programs import AZURITE_VERSION, FAKE_GCS_VERSION, MINIO_VERSION

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "LIMITS.md"
_TABLE = re.compile(r"(?<=\| subject \| tried \| by \|\n\| --- \| --- \| --- \|\n)(?:\|.*\n)+")

Row = tuple[str, str, str]


def test_the_table_of_what_was_tried_is_current() -> None:
    assert written() == DOCUMENT.read_text(), "python -m tests.unit.test_limits"


def written() -> str:
    """The text of docs/LIMITS.md with a new table."""
    rows = sorted([*_servers(), *_marked()], key=lambda row: row[0].lower())
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    text, count = _TABLE.subn(table.replace("\\", r"\\"), DOCUMENT.read_text())
    assert 1 == count
    return text


def _servers() -> Iterator[Row]:
    """The versions that all tests use."""
    [prefect] = re.findall(r"^prefect==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    [minio] = re.findall(r"^v0\.0\.0-(\d{8})", MINIO_VERSION)
    yield "Kafka", f"{DEFAULT_VERSION} with KRaft, one node and clusters of up to three", "`make test`"
    for version in re.findall(r"KAFKA_VERSION=(\S+)", (ROOT / "Makefile").read_text()):
        yield "Kafka", f"{version} with KRaft", "`make soak` repeats the integration and chaos tests"
    [python] = re.findall(r'^python_version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    yield "Python", python, "`make test`"
    yield "Prefect", f"{prefect}, with servers and workers that the tests start", "`make test`"
    yield (
        "S3",
        f"MinIO of {minio[:4]}-{minio[4:6]}-{minio[6:]}, also behind a proxy that cuts and delays",
        "`make test`",
    )
    yield "Azure", f"Azurite {AZURITE_VERSION}, also behind a proxy that cuts and delays", "`make test`"
    yield (
        "Google Cloud Storage",
        f"fake-gcs-server {FAKE_GCS_VERSION}, also behind a proxy that cuts and delays",
        "`make test`",
    )
    yield "file systems", "a local folder", "`make test`"


def _marked() -> Iterator[Row]:
    """The rows of the markers `tried`, with the file of the test."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text())
        for test in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
            for marker in test.decorator_list:
                if isinstance(marker, ast.Call) and ast.unparse(marker.func) == "pytest.mark.tried":
                    subject, what = (ast.literal_eval(argument) for argument in marker.args)
                    yield subject, what, f"`{path.relative_to(ROOT)}`"


if __name__ == "__main__":
    DOCUMENT.write_text(written())
