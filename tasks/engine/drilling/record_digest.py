"""The digest of a sequence of records. It depends on their order, keys, values, headers and timestamps, and not on the
parts in which they were read.

Each of these streams has a SHA-256 of its own. All numbers are little-endian.

    timestamps       int64 for each record, in Unix milliseconds
    lengths          int32 for each key and then for each value: its bytes, -1 for null    (two streams)
    contents         the bytes of each key; the bytes of each value                        (two streams)
    headers          for each record with headers: int64 number of the record from 0, int32 number of headers, and for
                     each header int32 length of the name, name, int32 length of the value or -1, value

The digest is the SHA-256 of the six digests in the order timestamps, key lengths, keys, value lengths, values, headers.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct, pack

from tasks.batches.record_columns import RecordColumns
from tasks.batches.records import Headers

_INT32 = Struct("<i")
_BEFORE_HEADERS = Struct("<qi")


class RecordDigest:
    """Collects records. `records` is their number."""

    def __init__(self) -> None:
        self.records = 0
        self._timestamps = sha256()
        self._keys = _Contents()
        self._values = _Contents()
        self._headers = sha256()

    def add(self, part: RecordColumns) -> None:
        """Add the records that follow those that were added before."""
        count = len(part.offsets)
        self._timestamps.update(pack(f"<{count}q", *part.timestamps))
        self._keys.add(part.keys)
        self._values.add(part.values)
        if any(part.headers):
            for number, headers in enumerate(part.headers, self.records):
                if headers:
                    self._headers.update(_encoded(number, headers))
        self.records += count

    def hexdigest(self) -> str:
        """The digest of all records that were added. May be called again."""
        streams = (self._timestamps, *self._keys.streams, *self._values.streams, self._headers)
        return sha256(b"".join(stream.digest() for stream in streams)).hexdigest()


class _Contents:
    """The two streams of keys or of values."""

    def __init__(self) -> None:
        self.streams = (sha256(), sha256())

    def add(self, contents: Sequence[bytes | None]) -> None:
        lengths, data = self.streams
        try:
            sizes = list(map(len, contents))  # type: ignore[arg-type]
            joined = b"".join(contents)  # type: ignore[arg-type]
        except TypeError:  # a content is null
            sizes = [-1 if one is None else len(one) for one in contents]
            joined = b"".join(one for one in contents if one is not None)
        lengths.update(pack(f"<{len(sizes)}i", *sizes))
        data.update(joined)


def _encoded(number: int, headers: Headers) -> bytes:
    parts = [_BEFORE_HEADERS.pack(number, len(headers))]
    for name, value in headers:
        parts += (_INT32.pack(len(name)), name)
        parts += (_INT32.pack(-1),) if value is None else (_INT32.pack(len(value)), value)
    return b"".join(parts)
