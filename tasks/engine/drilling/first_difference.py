"""Finds the first difference between expected and found records, and names it in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.batches.record_columns import RecordColumns
from tasks.batches.records import Record

_FIELDS = {"timestamp": "another timestamp", "key": "another key", "value": "another value", "headers": "other headers"}


def equal(expected: RecordColumns, found: RecordColumns, first_offset: int) -> bool:
    """Whether the records are the same in timestamp, key, value and headers, and the found ones have the offsets from
    `first_offset` on, without holes."""
    return (
        expected.values == found.values
        and expected.keys == found.keys
        and expected.timestamps == found.timestamps
        and expected.headers == found.headers
        and found.offsets == list(range(first_offset, first_offset + len(found.offsets)))
    )


def first_difference(expected: RecordColumns, found: RecordColumns, number: int, first_offset: int) -> str:
    """The first difference in a sentence. `number` is the number of the first record of both, counted from 1, and
    `first_offset` the offset at which it should be found.

    Both can have different lengths: the records behind the difference show what has happened. If there is no difference
    in the shorter length, the next record of the longer one is the difference.
    """
    wanted, seen = _records(expected), _records(found)
    for index, (one, other) in enumerate(zip(wanted, seen, strict=False)):
        if one[1:] != other[1:]:
            return _named(wanted[index:], seen[index:], number + index)
        if other.offset != first_offset + index:
            return (
                f"record {number + index} (source offset {one.offset}) should be at target offset "
                f"{first_offset + index} and is at {other.offset}."
            )
    return missing(wanted[len(seen)], number + len(seen)) if len(wanted) > len(seen) else _added(seen[len(wanted)])


def missing(record: Record, number: int) -> str:
    """The sentence about a record of the backup that was not found."""
    return f"record {number} (source offset {record.offset}) is missing in the target."


def _added(record: Record) -> str:
    return f"the target has a record at offset {record.offset} that the backup does not have."


def _named(wanted: Sequence[Record], seen: Sequence[Record], number: int) -> str:
    """The difference between the first records of both, which are not equal."""
    one, other = wanted[0], seen[0]
    later = _index(wanted, other)
    if later is not None and len(seen) > later and seen[later][1:] == one[1:]:
        return (
            f"records {number} and {number + later} (source offsets {one.offset} and {wanted[later].offset}, target "
            f"offsets {other.offset} and {seen[later].offset}) are exchanged."
        )
    if _index(seen, one) is not None and later is None:
        return _added(other)
    if later is not None:
        return missing(one, number)
    fields = [name for name, before, after in zip(_FIELDS, one[1:], other[1:], strict=True) if before != after]
    return (
        f"record {number} (source offset {one.offset}, target offset {other.offset}) has "
        f"{' and '.join(_FIELDS[name] for name in fields)} than in the backup{_detail(one, other, fields)}."
    )


def _detail(one: Record, other: Record, fields: Sequence[str]) -> str:
    """What differs, without contents, which can be confidential."""
    if fields == ["timestamp"]:
        return f": {other.timestamp} instead of {one.timestamp}"
    if fields in (["key"], ["value"]):
        before, after = (one.key, other.key) if fields == ["key"] else (one.value, other.value)
        if before is None or after is None:
            return f": {_size(after)} instead of {_size(before)}"
        if len(before) != len(after):
            return f": {len(after)} bytes instead of {len(before)}"
        at = next(index for index in range(len(before)) if before[index] != after[index])
        return f": the first different byte is byte {at} of {len(before)}"
    if fields == ["headers"] and sorted(map(repr, one.headers)) == sorted(map(repr, other.headers)):
        return ": the same headers in another order"
    return ""


def _size(content: bytes | None) -> str:
    return "null" if content is None else f"{len(content)} bytes"


def _index(records: Sequence[Record], wanted: Record) -> int | None:
    """Where the record is after the first one; None if it is not there."""
    return next((at for at, one in enumerate(records) if at and one[1:] == wanted[1:]), None)


def _records(part: RecordColumns) -> list[Record]:
    return [Record(*fields) for fields in zip(*part, strict=True)]
