"""Zigzag varints, as Kafka writes lengths, deltas and counts inside records (Protocol Buffers' sint32 and sint64).

Zigzag maps 0, -1, 1, -2 … to 0, 1, 2, 3 …. Each byte has 7 bits of that number, the lowest bits first. The high bit is
set in all bytes except the last.
"""

from __future__ import annotations

_LONGEST_BYTES = 10
_ONE_BYTE = tuple(bytes((number,)) for number in range(128))


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """(value, position after it). Raises `IndexError` if `data` ends before the number does, and `ValueError` if the
    number has more than 10 bytes."""
    byte = data[position]
    if byte < 128:
        return (byte >> 1) ^ -(byte & 1), position + 1
    number, shift, limit = byte & 127, 7, position + _LONGEST_BYTES
    while True:
        position += 1
        if position == limit:
            raise ValueError("a number is longer than 10 bytes")
        byte = data[position]
        number |= (byte & 127) << shift
        if byte < 128:
            return (number >> 1) ^ -(number & 1), position + 1
        shift += 7


def write_varint(value: int) -> bytes:
    """The bytes of a value in [-2^63, 2^63)."""
    number = value << 1 if value >= 0 else (~value << 1) | 1
    if number < 128:
        return _ONE_BYTE[number]
    if number < 16384:
        return bytes((number & 127 | 128, number >> 7))
    encoded = bytearray()
    while number >= 128:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
