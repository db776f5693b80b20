"""Varints: known encodings, and what is not one."""

from __future__ import annotations

import pytest

from tasks.batches.varint import read_varint, write_varint

KNOWN = [
    (0, "00"),
    (-1, "01"),
    (1, "02"),
    (63, "7e"),
    (-64, "7f"),
    (64, "8001"),
    (8191, "fe7f"),
    (-8192, "ff7f"),
    (8192, "808001"),
    ((1 << 31) - 1, "feffffff0f"),
    ((1 << 63) - 1, "feffffffffffffffff01"),
    (-(1 << 63), "ffffffffffffffffff01"),
]


@pytest.mark.parametrize(("value", "encoded"), KNOWN)
def test_numbers_are_written_and_read_as_protocol_buffers_do(value: int, encoded: str) -> None:
    assert encoded == write_varint(value).hex()
    assert (value, len(encoded) // 2 + 1) == read_varint(b"\xff" + bytes.fromhex(encoded) + b"\xff", 1)


def test_a_number_that_does_not_end_is_refused() -> None:
    with pytest.raises(IndexError):
        read_varint(b"\x80\x80", 0)
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        read_varint(b"\x80" * 11, 0)
