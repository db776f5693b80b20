"""The seal of stored JSON documents: the last member is the digest of the document's own bytes. Pure.

    {"format":1,…,"digest":"<64 hex characters>"}\\n

The JSON is compact UTF-8. The digest is the SHA-256 of exactly these bytes, computed with the 64 characters set to `0`.
So the last 67 bytes of a sealed document are the digest, `"}` and a newline.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

SEAL_BYTES: Final = 67
"""Size of the digest and of the three bytes that follow it."""

_BLANK: Final = b"0" * 64
_END: Final = b'"}\n'


def seal(value: Mapping[str, object]) -> bytes:
    """The bytes of a document with its digest. A member `digest` of `value` is replaced."""
    members = {name: member for name, member in value.items() if name != "digest"}
    text = json.dumps({**members, "digest": _BLANK.decode()}, separators=(",", ":"), ensure_ascii=False)
    blank = f"{text}\n".encode()
    return blank[:-SEAL_BYTES] + _digest(blank) + _END


def is_sealed(data: bytes) -> bool:
    """Whether the bytes are a sealed document as it was written. They can still be of a newer format."""
    return data[-SEAL_BYTES:] == _digest(data[:-SEAL_BYTES] + _BLANK + _END) + _END


def _digest(blank: bytes) -> bytes:
    return hashlib.sha256(blank).hexdigest().encode()
