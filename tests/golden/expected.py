"""Records as `expected.json` holds them: bytes as their latin-1 characters, large values by length and digest. Writes a
golden repository and this file."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from tasks.store.protocol import ObjectStore

Headers = Iterable[tuple[bytes, bytes | None]]
LARGEST_TEXT = 1_000


def expected_record(
    offset: int, timestamp: int, key: bytes | None, value: bytes | None, headers: Headers
) -> list[object]:
    """The JSON value of one record: [offset, timestamp, key, value, [[header, value], …]]."""
    return [offset, timestamp, _text(key), _text(value), [[_text(name), _text(content)] for name, content in headers]]


def _text(content: bytes | None) -> str | None:
    if content is not None and len(content) > LARGEST_TEXT:
        return f"{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}"
    return None if content is None else content.decode("latin-1")


def write_golden(folder: Path, store: ObjectStore, expected: object) -> None:
    """Replace the folder by the repository of the store, without what every reader changes, and `expected.json`."""
    shutil.rmtree(folder, ignore_errors=True)
    for info in store.list(""):
        if not info.key.startswith(("probe/", "restores/", "pins/", "leases/")):
            path = folder / info.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(store.get(info.key)[0])
    text = json.dumps(expected, separators=(",", ":")).replace('"],["', '"],\n["')
    (folder / "expected.json").write_text(text + "\n")
