"""Lets an HTTP client read a body as a file object. The buffers of the body are not joined."""

from __future__ import annotations

import os
from bisect import bisect_right
from itertools import accumulate

from tasks.store.protocol import Body


class BodyReader:
    """Reads the buffers of a body in their order. For one thread at a time.

    A read returns a view of one buffer, so it can return less than the requested size. It returns nothing only at the
    end of the body.
    """

    def __init__(self, body: Body) -> None:
        self._views = [memoryview(part).cast("B") for part in body if len(part)]
        self._ends = list(accumulate(len(view) for view in self._views))
        self._position = 0
        self.size_bytes = self._ends[-1] if self._ends else 0

    def read(self, size: int = -1) -> memoryview:
        """The next bytes: at most `size`, and at most the rest of the current buffer. A negative size means the rest of
        the current buffer. Empty at the end of the body."""
        number = bisect_right(self._ends, self._position)
        if number == len(self._views):
            return memoryview(b"")
        view = self._views[number]
        start = len(view) - (self._ends[number] - self._position)
        part = view[start:] if size < 0 else view[start : start + size]
        self._position += len(part)
        return part

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position of the next read, and return it. A position outside the body becomes its start or its
        end."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size_bytes}[whence]
        self._position = min(max(0, origin + offset), self.size_bytes)
        return self._position

    def tell(self) -> int:
        """The position of the next read."""
        return self._position
