"""Records as `expected.json` holds them: bytes as their latin-1 characters, large values by length and digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

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
