"""The trailer: what is written is read, later minor versions survive, later major ones and damage are named."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tasks.model.errors import DamagedError, UnsupportedError
from tasks.segment.seek_table import skippable_frame
from tasks.segment.trailer import decode_trailer, encode_trailer, trailer_document
from tests.unit.segment.objects import segment

SEGMENTS = (segment(0, 10, 20, frames=2), segment(3, 0, 5, frames=1, topic="kunden"))


def _document() -> dict[str, Any]:
    return dict(trailer_document(repository_id="ab" * 16, set_name="daily", run="r1", segments=SEGMENTS))


def test_a_trailer_says_what_was_written() -> None:
    document = decode_trailer(encode_trailer(_document()))
    assert (
        document.repository_id,
        document.set,
        document.run,
        document.segments,
    ) == ("ab" * 16, "daily", "r1", SEGMENTS)


def test_reasons_of_gaps_may_be_any_text() -> None:
    value = json.loads(json.dumps(_document()))
    value["segments"][0]["gaps"] = [[11, 12, 'gelöscht "so"\n\u2028']]
    [gap] = decode_trailer(encode_trailer(value)).segments[0].gaps
    assert gap.reason == 'gelöscht "so"\n\u2028'


def test_members_of_a_later_minor_version_survive() -> None:
    value = json.loads(json.dumps(_document()))
    value["colour"] = {"red": [1]}
    value["segments"][1]["mood"] = "good"
    document = decode_trailer(encode_trailer(value))
    assert document.unknown == {"colour": {"red": [1]}}
    assert document.segments[1].unknown == {"mood": "good"}
    assert encode_trailer(value) == encode_trailer(document.to_json())


def test_a_newer_major_version_is_refused_with_what_it_needs() -> None:
    with pytest.raises(UnsupportedError, match="format 2; this version reads up to 1: use a kafka-backup that knows"):
        decode_trailer(encode_trailer({"format": 2, "everything": "else"}))


def test_every_flipped_byte_of_a_trailer_is_damage() -> None:
    stored = encode_trailer(_document())
    for position in range(len(stored)):
        for flip in (0x01, 0x80):
            damaged = bytearray(stored)
            damaged[position] ^= flip
            with pytest.raises(DamagedError):
                decode_trailer(bytes(damaged))


@pytest.mark.parametrize("member", ["format", "repository_id", "set", "run", "segments"])
def test_a_trailer_without_a_member_is_damage(member: str) -> None:
    value = _document()
    del value[member]
    with pytest.raises(DamagedError, match=member):
        decode_trailer(encode_trailer(value))


@pytest.mark.parametrize(
    ("member", "value"),
    [("topic", 1), ("partition", "0"), ("first", 1.5), ("frames", True), ("epochs", [[1]]), ("gaps", None)],
)
def test_a_segment_with_a_member_of_another_kind_is_damage(member: str, value: object) -> None:
    document = json.loads(json.dumps(_document()))
    document["segments"][0][member] = value
    with pytest.raises(DamagedError, match="does not follow the format"):
        decode_trailer(encode_trailer(document))


@pytest.mark.parametrize("blank", [b"[]", b"{", b'"' + b"x" * 100, b"\xff" * 100])
def test_a_sealed_content_that_is_no_trailer_is_damage(blank: bytes) -> None:
    content = blank + b'"digest":"' + b"0" * 64 + b'"}\n'
    digest = hashlib.sha256(content).hexdigest().encode()
    with pytest.raises(DamagedError, match="does not follow the format"):
        decode_trailer(skippable_frame(0x184D2A50, content[:-67] + digest + content[-3:]))
