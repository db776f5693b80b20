"""ConsumerGroupDescribe and StreamsGroupDescribe as bytes. Real brokers answer in the contract suite."""

from __future__ import annotations

import struct

import pytest

from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.described_groups import (
    DescribedGroup,
    decode_described_groups,
    encode_describe_request,
)
from tasks.model.errors import DamagedError

TAGS = b"\1\5\3abc"
"""One tagged field of a later version, which is skipped."""


def _string(text: str | None) -> bytes:
    return b"\0" if text is None else bytes([len(text.encode()) + 1]) + text.encode()


def _list(*items: bytes) -> bytes:
    return bytes([len(items) + 1]) + b"".join(items)


def _numbers(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}i", *numbers)


def _answer(*groups: bytes) -> memoryview:
    return memoryview(_numbers(7) + TAGS + _numbers(30) + _list(*groups) + TAGS)


def _head(code: int, group: str, state: str, message: str | None = None) -> bytes:
    return struct.pack(">h", code) + _string(message) + _string(group) + _string(state) + _numbers(4, 5)


def _consumer(version: int) -> bytes:
    assignment = _list(bytes(16) + _string("orders") + _list(_numbers(0), _numbers(1)) + TAGS) + TAGS
    member = _string("m") + _string(None) + _string("rack") + _numbers(3) + _string("client") + _string("/127.0.0.1")
    member += _list(_string("orders"), _string("audit")) + _string(None) + assignment * 2
    return member + (b"\1" if version else b"") + TAGS


def _stream() -> bytes:
    tasks = _list(_string("0") + _list(_numbers(0)) + TAGS)
    assignment = tasks + _list() + b"\0" + TAGS
    offsets = _list(_string("0") + bytes(12) + TAGS)
    endpoint = b"\1" + _string("host") + b"\x23\x45" + TAGS
    member = _string("m") + _numbers(3) + _string(None) * 2 + _string("client") + _string("/127.0.0.1") + _numbers(0)
    member += _string("process") + endpoint + _list(_string("key") + _string("value") + TAGS)
    return member + offsets * 2 + assignment * 2 + b"\0" + TAGS


def _topology() -> bytes:
    info = _string("changes") + _numbers(0) + b"\0\1" + _list(_string("cleanup.policy") + _string("compact") + TAGS)
    part = _string("0") + _list(_string("orders")) + _list() + _list(info + TAGS) + b"\0" + TAGS
    return b"\1" + _numbers(2) + _list(part) + TAGS


@pytest.mark.parametrize("version", [0, 1])
def test_state_and_members_of_consumer_groups_are_read_and_everything_else_is_skipped(version: int) -> None:
    key = ApiKey.CONSUMER_GROUP_DESCRIBE
    rest = _string("uniform") + _list(_consumer(version), _consumer(version)) + _numbers(8) + TAGS
    gone = _head(69, "gone\n", "", "not found") + _string("") + _list() + _numbers(0) + TAGS

    number, answer = decode_described_groups(
        _answer(_head(0, "é", "Stable") + rest, gone), api_key=key, api_version=version
    )

    assert (7, 30) == (number, answer.throttle_time_ms)
    assert [
        DescribedGroup(0, None, "é", "Stable", 2),
        DescribedGroup(69, "not found", "gone\n", "", 0),
    ] == answer.groups


def test_state_and_members_of_streams_groups_are_read_and_everything_else_is_skipped() -> None:
    key = ApiKey.STREAMS_GROUP_DESCRIBE
    full = _head(0, "s", "Stable") + _topology() + _list(_stream(), _stream(), _stream()) + _numbers(8) + TAGS
    empty = _head(0, "e", "Empty") + b"\xff" + _list() + _numbers(8) + TAGS

    _, answer = decode_described_groups(_answer(full, empty), api_key=key, api_version=0)

    assert [DescribedGroup(0, None, "s", "Stable", 3), DescribedGroup(0, None, "e", "Empty", 0)] == answer.groups


def test_bytes_that_end_early_are_damaged_and_nothing_else() -> None:
    key = ApiKey.STREAMS_GROUP_DESCRIBE
    whole = _answer(_head(0, "s", "Stable") + _topology() + _list(_stream()) + _numbers(8) + TAGS)

    for end in range(len(whole) - len(TAGS)):
        with pytest.raises(DamagedError):
            decode_described_groups(whole[:end], api_key=key, api_version=0)


def test_a_request_names_any_group() -> None:
    names = ["", "nul\0", "x" * 300]
    data = encode_describe_request(
        names, api_key=ApiKey.CONSUMER_GROUP_DESCRIBE, api_version=1, correlation_id=9, client_id="me"
    )

    assert len(data) - 4 == struct.unpack_from(">i", data)[0]
    assert (69, 1, 9, 2) == struct.unpack_from(">hhih", data, 4)
    body = data[14 + 2 :]
    assert b"\0" + b"\4" + b"\1" + b"\5nul\0" + b"\xad\2" + b"x" * 300 + b"\0" + b"\0" == body
