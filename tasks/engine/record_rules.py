"""The rules of a restore about single records: times, offsets, keys, headers and producers. Values only;
`record_filter` applies them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from tasks.engine.option_base import Options, PartitionNumber, TopicName

SECONDS: Final = range(100_000_000, 10_000_000_000)
"""Numbers that are seconds since 1970 if they are meant as a time: as milliseconds they would be before May 1970."""

_INT64 = range(-(1 << 63), 1 << 63)
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?")
_MOST_FRACTION_US = 1000


def _read_time(value: object) -> object:
    """The Unix milliseconds of a number or of an ISO 8601 text with a zone."""
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if value in SECONDS:
            raise ValueError(f"{value} looks like seconds, and Kafka's times are milliseconds: write {value * 1000}")
        if value not in _INT64:
            raise ValueError("should be a number of 64 bits")
        return value
    if isinstance(value, str):
        return _parse_time(value)
    raise ValueError("should be Unix milliseconds, or a time with a zone such as 2026-07-04T10:41:59Z")


def _parse_time(text: str) -> int:
    found = _TIME.fullmatch(text)
    try:
        moment = datetime.fromisoformat(text) if found else None
    except ValueError:
        moment = None
    if moment is None:
        raise ValueError(f"{text!r} is not a time: write it as 2026-07-04T10:41:59Z, or as Unix milliseconds")
    if moment.tzinfo is None:
        day = text if re.search(r"[T ]", text) else f"{text}T00:00:00"
        raise ValueError(f"{text!r} has no time zone: write {day}Z for UTC, or its offset, as in {day}+02:00")
    if moment.microsecond % _MOST_FRACTION_US:
        raise ValueError(f"{text!r} is finer than a millisecond, and Kafka's times are not")
    seconds = round((moment.replace(microsecond=0)).timestamp())
    return seconds * 1000 + moment.microsecond // 1000


TimeMs = Annotated[int, BeforeValidator(_read_time, json_schema_input_type=int | str)]
"""A record's timestamp in Unix milliseconds. Also accepts an ISO 8601 text with a zone."""


def is_none(value: object) -> bool:
    """Whether a member is absent. It is then not stored."""
    return value is None


def is_empty(value: object) -> bool:
    """Whether a member has nothing in it. It is then not stored."""
    return not value


def _as_list(value: object) -> object:
    """A single text or number as a list, because one is the most frequent case. Lists become tuples, as strict
    validation requires it here."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(f"{text!r} is not base64") from None


def _decode_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{text!r} is not hexadecimal") from None


def _check_base64(text: str) -> str:
    _decode_base64(text)
    return text


def _check_hex(text: str) -> str:
    _decode_hex(text)
    return text


Texts = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class KeyRule(Options):
    """The keys of a rule. A record without a key has none of them. `file_keys` are the lines of `file`, which the
    command reads when it loads its configuration, so that a restore that is continued keeps the same records."""

    exact: Texts = Field((), exclude_if=is_empty, title="Keys", description="Whole keys, written as text.")
    prefix: Texts = Field((), exclude_if=is_empty, title="Prefixes", description="Beginnings of keys, written as text.")
    base64: Annotated[tuple[Annotated[str, AfterValidator(_check_base64)], ...], BeforeValidator(_as_list)] = Field(
        (), exclude_if=is_empty, title="Keys in base64", description="Whole keys that are not text, in base64."
    )
    hex: Annotated[tuple[Annotated[str, AfterValidator(_check_hex)], ...], BeforeValidator(_as_list)] = Field(
        (),
        exclude_if=is_empty,
        title="Keys in hexadecimal",
        description="Whole keys that are not text, in hexadecimal.",
    )
    file: str | None = Field(
        None,
        exclude_if=is_none,
        title="File of keys",
        description="A file with whole keys, one a line, for the command. A flow takes the keys themselves.",
    )
    file_keys: tuple[str, ...] = Field(
        (), exclude_if=is_empty, title="Keys of the file", description="The keys of the file. The command sets them."
    )

    @model_validator(mode="after")
    def _names_a_key(self) -> Self:
        if not (self.exact or self.prefix or self.base64 or self.hex or self.file or self.file_keys):
            raise ValueError("give a key, or one of prefix, file, base64 and hex")
        return self

    def whole_keys(self) -> frozenset[bytes]:
        """The keys that have to be equal."""
        texts = (*self.exact, *self.file_keys)
        return frozenset(
            [
                *(text.encode() for text in texts),
                *(_decode_base64(text) for text in self.base64),
                *(_decode_hex(text) for text in self.hex),
            ]
        )


class HeaderRule(Options):
    """A header of a rule. A record has it if one of its headers with this name has this value, or any value if the rule
    has none."""

    name: str = Field(title="Name", description="The name of the header.")
    value: str | None = Field(
        None, exclude_if=is_none, title="Value", description="Its value, as text. Empty means any value."
    )


_OFFSETS = re.compile(r"(\d+)(?:-(\d*))?")


def _check_offsets(value: object) -> object:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _OFFSETS.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{value!r} should be an offset, or a range of offsets such as 100-199 or 100-")
    if found[2] and int(found[2]) < int(found[1]):
        raise ValueError(f"the range {value!r} ends before it begins")
    return text


OffsetRange = Annotated[str, BeforeValidator(_check_offsets, json_schema_input_type=int | str)]


def offset_range(text: str) -> tuple[int, int | None]:
    """(first offset, offset after the last one) of an `OffsetRange`. None: it has no end."""
    found = _OFFSETS.fullmatch(text)
    assert found is not None
    if found[2] is None:
        return int(found[1]), int(found[1]) + 1
    return int(found[1]), int(found[2]) + 1 if found[2] else None


def _named_key(value: object) -> object:
    return {"exact": value} if isinstance(value, (str, list, tuple)) else value


def _named_header(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class RecordRule(Options):
    """A rule about records. A record matches it if it matches all members that are given."""

    name: str | None = Field(
        None,
        exclude_if=is_none,
        min_length=1,
        max_length=100,
        title="Name",
        description="A name for the rule in reports. Without it the rule is called by its number.",
    )
    topics: Annotated[tuple[str, ...] | None, BeforeValidator(_as_list)] = Field(
        None,
        exclude_if=is_none,
        min_length=1,
        title="Topics",
        description="Source topics: names, patterns with * and ?, or regular expressions after ~. Empty means all.",
    )
    partitions: Annotated[tuple[PartitionNumber, ...] | None, BeforeValidator(_as_list)] = Field(
        None,
        exclude_if=is_none,
        min_length=1,
        title="Partitions",
        description="Numbers of source partitions. Empty means all.",
    )
    key: Annotated[
        KeyRule | None, BeforeValidator(_named_key, json_schema_input_type=KeyRule | str | tuple[str, ...] | None)
    ] = Field(
        None,
        exclude_if=is_none,
        title="Key",
        description="The record's key: a text, a list of texts, or prefix, file, base64 or hex.",
    )
    header: Annotated[
        HeaderRule | None, BeforeValidator(_named_header, json_schema_input_type=HeaderRule | str | None)
    ] = Field(None, exclude_if=is_none, title="Header", description="A header that the record has: name and value.")
    producer_id: Annotated[tuple[int, ...] | None, BeforeValidator(_as_list)] = Field(
        None,
        exclude_if=is_none,
        min_length=1,
        title="Producer id",
        description="Ids of the producers that wrote the record. Records of producers without an id have -1.",
    )
    offsets: Annotated[tuple[OffsetRange, ...] | None, BeforeValidator(_as_list)] = Field(
        None,
        exclude_if=is_none,
        min_length=1,
        title="Offsets",
        description="Source offsets, and ranges of them such as 100-199, the last one included.",
    )
    time_window_start: TimeMs | None = Field(
        None, exclude_if=is_none, title="Earliest time", description="Records with this timestamp or a later one."
    )
    time_window_end: TimeMs | None = Field(
        None, exclude_if=is_none, title="Latest time", description="Records with this timestamp or an earlier one."
    )

    @model_validator(mode="after")
    def _restricts_something(self) -> Self:
        if all(getattr(self, name) is None for name in RULE_MEMBERS):
            raise ValueError(f"matches every record: give at least one of {', '.join(RULE_MEMBERS)}")
        check_window(self.time_window_start, self.time_window_end)
        return self


RULE_MEMBERS = tuple(name for name in RecordRule.model_fields if name != "name")


def check_window(start_ms: int | None, end_ms: int | None) -> None:
    """Raises `ValueError` if a window ends before it begins."""
    if start_ms is not None and end_ms is not None and end_ms < start_ms:
        raise ValueError(f"time_window_end ({end_ms}) is before time_window_start ({start_ms})")


def _nested_offsets(value: object) -> object:
    """`{orders/0: 1200}` as `{orders: {0: 1200}}`. Numbers of partitions become numbers, because keys of files are
    texts."""
    if not isinstance(value, Mapping):
        return value
    found: dict[str, Any] = {}
    for key, member in value.items():
        topic, slash, partition = str(key).rpartition("/")
        place, new = (topic, {partition: member}) if slash else (str(key), member)
        if not isinstance(new, Mapping):
            raise ValueError(f"{place} needs an offset for each partition: write {place}: {{0: 1200}}")
        offsets = found.setdefault(place, {})
        for number, offset in new.items():
            name = int(number) if str(number).isdecimal() else number
            if name in offsets:
                raise ValueError(f"{place}/{name} has two offsets")
            offsets[name] = offset
    return found


UntilOffsets = Annotated[
    dict[TopicName, dict[PartitionNumber, Annotated[int, Field(ge=0)]]], BeforeValidator(_nested_offsets)
]
"""For each topic and partition the offset below which records are restored."""


def _check_until(text: str) -> str:
    if not text.startswith("mark:") or not text.removeprefix("mark:"):
        raise ValueError("should be mark:NAME. For a time use time_window_end, for offsets until_offset")
    return text


Until = Annotated[str, AfterValidator(_check_until)]


class RecordSelection(Options):
    """The options of a restore about single records."""

    time_window_start: TimeMs | None = Field(
        None,
        exclude_if=is_none,
        title="Earliest time",
        description="Restores only records with this timestamp or a later one: Unix milliseconds, or a time with a "
        "zone such as 2026-07-04T10:00:00Z.",
    )
    time_window_end: TimeMs | None = Field(
        None,
        exclude_if=is_none,
        title="Latest time",
        description="Restores only records with this timestamp or an earlier one: Unix milliseconds, or a time with a "
        "zone such as 2026-07-04T10:41:59Z.",
    )
    until_offset: UntilOffsets = Field(
        default_factory=dict,
        exclude_if=is_empty,
        title="Until offset",
        description="For each topic and partition the offset at which the restore ends; that record is not restored. "
        "Partitions that are not named are restored whole.",
    )
    until: Until | None = Field(
        None,
        exclude_if=is_none,
        title="Until a mark",
        description="Restores each partition up to its end when a mark was set: mark:NAME.",
    )
    select: tuple[RecordRule, ...] = Field(
        (),
        exclude_if=is_empty,
        title="Select records",
        description="Restores only records that match one of these rules. Empty means all records.",
    )
    exclude: tuple[RecordRule, ...] = Field(
        (),
        exclude_if=is_empty,
        title="Exclude records",
        description="Leaves out records that match one of these rules, also if they are selected.",
    )

    @field_validator("time_window_end")
    @classmethod
    def _ends_after_start(cls, end_ms: int | None, info: Any) -> int | None:
        check_window(info.data.get("time_window_start"), end_ms)
        return end_ms

    @property
    def has_record_rules(self) -> bool:
        """Whether not every record is restored."""
        return bool(
            self.time_window_start is not None
            or self.time_window_end is not None
            or self.until_offset
            or self.until is not None
            or self.select
            or self.exclude
        )
