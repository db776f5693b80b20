"""Codecs of ConsumerGroupDescribe (KIP-848) and StreamsGroupDescribe (KIP-1071), and their versions. kafka-python has
none for them.

    request  := header · [group id string] · with operations i8 · tags
    answer   := correlation id i32 · tags · throttle ms i32 · [group] · tags
    group    := error i16 · error message string · id string · state string · … · [member] · operations i32 · tags

`string`, `[x]` and `tags` are those of flexible versions: a string or a list begins with its length + 1 as an unsigned
varint, and 0 means null. Error, id, state and number of members are kept; all other fields are skipped.

Source: Kafka's ConsumerGroupDescribeResponse.json and StreamsGroupDescribeResponse.json.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from tasks.broker.messages.api_keys import ApiKey
from tasks.model.errors import DamagedError

CONSUMER_GROUP_DESCRIBE_VERSIONS: Final = (0, 1)
STREAMS_GROUP_DESCRIBE_VERSIONS: Final = (0, 0)

_FIRST_WITH_MEMBER_TYPE = 1
_HEADER = struct.Struct(">hhih")
_NO_TAGS = b"\0"


class DescribedGroup(NamedTuple):
    """One group of an answer. `state` is Kafka's word (`Stable`). `members` is the number of its members."""

    error_code: int
    error_message: str | None
    group_id: str
    state: str
    members: int


class DescribedGroupsAnswer(NamedTuple):
    """One answer: a description or an error code for each requested group."""

    groups: list[DescribedGroup]
    throttle_time_ms: int


def encode_describe_request(
    group_ids: Sequence[str], *, api_key: int, api_version: int, correlation_id: int, client_id: str
) -> bytes:
    """The bytes of the request that `api_key` selects, with length and header."""
    client = client_id.encode()
    head = _HEADER.pack(api_key, api_version, correlation_id, len(client)) + client + _NO_TAGS
    ids = b"".join(_varint(len(encoded) + 1) + encoded for encoded in map(str.encode, group_ids))
    body = head + _varint(len(group_ids) + 1) + ids + b"\0" + _NO_TAGS
    return struct.pack(">i", len(body)) + body


def decode_described_groups(data: memoryview, *, api_key: int, api_version: int) -> tuple[int, DescribedGroupsAnswer]:
    """(correlation id, answer) of the bytes after the length. Raises `DamagedError` if they are not such an answer."""
    reader = _Reader(data)
    try:
        correlation_id = reader.number(4)
        reader.tags()
        throttle_time_ms = reader.number(4)
        groups = [_group(reader, api_key, api_version) for _ in range(reader.count())]
    except (struct.error, IndexError, UnicodeDecodeError):
        raise DamagedError("the bytes are not a description of groups") from None
    return correlation_id, DescribedGroupsAnswer(groups, throttle_time_ms)


def _group(reader: _Reader, api_key: int, api_version: int) -> DescribedGroup:
    code = reader.number(2)
    message, group_id, state = reader.string(), reader.string() or "", reader.string() or ""
    reader.skip(8)  # group epoch, assignment epoch
    if api_key == ApiKey.CONSUMER_GROUP_DESCRIBE:
        reader.string()  # assignor
    else:
        _skip_topology(reader)
    members = reader.count()
    for _ in range(members):
        if api_key == ApiKey.CONSUMER_GROUP_DESCRIBE:
            _skip_consumer(reader, api_version)
        else:
            _skip_stream(reader)
    reader.skip(4)  # authorized operations
    reader.tags()
    return DescribedGroup(code, message, group_id, state, members)


def _skip_consumer(reader: _Reader, api_version: int) -> None:
    """Skip one member of a consumer group."""
    reader.strings(3)  # member, instance, rack
    reader.skip(4)  # member epoch
    reader.strings(2)  # client id and host
    reader.strings(reader.count())  # subscribed topics
    reader.string()  # subscribed expression
    for _ in range(2):  # assignment, target assignment
        for _ in range(reader.count()):
            reader.skip(16)  # topic id
            reader.string()
            reader.skip(4 * reader.count())  # partitions
            reader.tags()
        reader.tags()
    if api_version >= _FIRST_WITH_MEMBER_TYPE:
        reader.skip(1)
    reader.tags()


def _skip_topology(reader: _Reader) -> None:
    """Skip the topology of a Streams group. If it is null, its first byte is negative and nothing follows."""
    if reader.number(1) < 0:
        return
    reader.skip(4)  # epoch
    for _ in range(reader.count()):  # subtopologies
        reader.string()
        reader.strings(reader.count())  # source topics
        reader.strings(reader.count())  # repartition sinks
        for _ in range(2):  # changelogs, repartition sources
            for _ in range(reader.count()):
                reader.string()
                reader.skip(4 + 2)  # partitions, replication factor
                _skip_pairs(reader)
                reader.tags()
        reader.tags()
    reader.tags()


def _skip_stream(reader: _Reader) -> None:
    """Skip one member of a Streams group."""
    reader.string()
    reader.skip(4)  # member epoch
    reader.strings(4)  # instance, rack, client id and host
    reader.skip(4)  # topology epoch
    reader.string()  # process
    if reader.number(1) >= 0:  # user endpoint
        reader.string()
        reader.skip(2)
        reader.tags()
    _skip_pairs(reader)  # client tags
    for _ in range(2):  # task offsets, task end offsets
        for _ in range(reader.count()):
            reader.string()
            reader.skip(4 + 8)
            reader.tags()
    for _ in range(2):  # assignment, target assignment
        for _ in range(3):  # active, standby, warm-up
            for _ in range(reader.count()):
                reader.string()
                reader.skip(4 * reader.count())
                reader.tags()
        reader.tags()
    reader.skip(1)  # is classic
    reader.tags()


def _skip_pairs(reader: _Reader) -> None:
    for _ in range(reader.count()):
        reader.strings(2)
        reader.tags()


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


class _Reader:
    """Reads the fields of a flexible version one after the other. Raises `IndexError` at the end of the bytes."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def skip(self, size: int) -> memoryview:
        """Skip this many bytes, and return them. Raises `IndexError` if there are fewer."""
        start, self._at = self._at, self._at + size
        if size < 0 or self._at > len(self._data):
            raise IndexError("the answer is too short")
        return self._data[start : self._at]

    def number(self, size: int) -> int:
        """A signed number of this many bytes."""
        return int.from_bytes(self.skip(size), "big", signed=True)

    def varint(self) -> int:
        """An unsigned varint."""
        found = shift = 0
        while True:
            byte = self.skip(1)[0]
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                return found
            shift += 7

    def count(self) -> int:
        """The number of items of a list. A null list has none."""
        return max(0, self.varint() - 1)

    def string(self) -> str | None:
        """A string; None if it is null."""
        length = self.varint() - 1
        return None if length < 0 else str(self.skip(length), "utf-8")

    def strings(self, number: int) -> None:
        """Skip strings."""
        for _ in range(number):
            self.string()

    def tags(self) -> None:
        """Skip the tagged fields."""
        for _ in range(self.varint()):
            self.varint()
            self.skip(self.varint())
