"""A body as a file object: every byte once, from any position, without joining buffers."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from tasks.store.body_reader import BodyReader


@given(st.lists(st.binary(max_size=9), max_size=6), st.lists(st.integers(-1, 12), max_size=30), st.integers(0, 60))
def test_reads_of_any_size_from_any_position_return_the_body(parts: list[bytes], sizes: list[int], start: int) -> None:
    whole = b"".join(parts)
    reader = BodyReader(parts)
    assert len(whole) == reader.size_bytes
    begin = reader.seek(start)
    assert min(start, len(whole)) == begin == reader.tell()

    read = b"".join(bytes(reader.read(size)) for size in sizes if size)
    while part := reader.read():
        read += part

    assert whole[begin:] == read
    assert len(whole) == reader.tell()


def test_a_read_returns_a_view_of_a_buffer_and_not_a_copy() -> None:
    buffer = bytearray(b"abcdef")
    part = BodyReader([b"", memoryview(buffer)]).read(3)
    buffer[0] = ord("x")
    assert b"xbc" == bytes(part)


def test_seek_counts_from_the_start_the_current_position_and_the_end() -> None:
    reader = BodyReader([b"abc", b"def"])
    assert [4, 3, 6, 0] == [reader.seek(-2, os.SEEK_END), reader.seek(-1, os.SEEK_CUR), reader.seek(99), reader.seek(0)]
