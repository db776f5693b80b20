"""A body as the file that an HTTP client wants to read, without joining its buffers."""

from __future__ import annotations

import os
from bisect import bisect_right
from itertools import accumulate

from tasks.store.protocol import Body


class BodyReader:
    """Reads a body's buffers in order, as views of them, and again from any place after `seek`. One user at a time.

    A read ends where a buffer ends: it may give less than it was asked for, and gives nothing only at the end.
    """

    def __init__(self, body: Body) -> None:
        self._views = [memoryview(part).cast("B") for part in body if len(part)]
        self._ends = list(accumulate(len(view) for view in self._views))
        self._at = 0
        self.size_bytes = self._ends[-1] if self._ends else 0

    def read(self, size: int = -1) -> memoryview:
        """At most `size` bytes; a negative size asks for the rest of a buffer."""
        number = bisect_right(self._ends, self._at)
        if number == len(self._views):
            return memoryview(b"")
        view = self._views[number]
        start = len(view) - (self._ends[number] - self._at)
        part = view[start:] if size < 0 else view[start : start + size]
        self._at += len(part)
        return part

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place between the start and the end; returns it."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size_bytes}[whence]
        self._at = min(max(0, origin + offset), self.size_bytes)
        return self._at

    def tell(self) -> int:
        """The place of the next read."""
        return self._at
