"""FORMAT.md's example is an object that this program writes, and its words are enough to read one."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import subprocess
from pathlib import Path

import pytest

from tasks.batches.records import Record
from tasks.model.ranges import Gap
from tasks.segment import writer
from tasks.segment.reader import verify_object
from tasks.segment.trailer import TrailerSegment, trailer_document
from tests.support.batch_factory import make_batch
from tests.unit.segment.objects import COMPRESSIONS, packed_object

DOCUMENT = Path(writer.__file__).with_name("FORMAT.md")


def _example() -> tuple[bytes, bytes]:
    """(record batch, object) of FORMAT.md's example. `none`: its bytes depend on no library's version."""
    batch = make_batch([Record(41, 1_700_000_000_000, b"k", b"hello")], base_offset=41, leader_epoch=2)
    segment = TrailerSegment(
        topic="orders",
        topic_id="AAAAAAAAQACAAAAAAAAAAQ",
        partition=0,
        first=40,
        next=42,
        captured_ms=1_700_000_060_000,
        epochs=((2, 41),),
        aborted=(),
        gaps=(Gap(40, 41, "deleted by retention"),),
        frames=1,
    )
    example = writer.ObjectWriter(compression="none", level=3)
    example.add_frame([batch])
    document = trailer_document(
        repository_id="0123456789abcdef0123456789abcdef",
        set_name="daily",
        run="20261122T100000123Z-9f3a61c2",
        segments=[segment],
    )
    return batch, b"".join(example.finish(document).body)


def _hex_dump(data: bytes) -> str:
    """As `xxd` prints it, so that `xxd -r` makes the file again."""
    rows = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        rows.append(f"{at:08x}: {row.hex(' ', -2):<39}  {text}")
    return "\n".join(rows)


def _read_by_the_document(data: bytes) -> tuple[list[bytes], dict[str, object]]:
    """The steps of "To read an object by itself", with nothing of ours."""
    count, descriptor, magic = struct.unpack("<IBI", data[-9:])
    assert (magic, descriptor) == (0x8F92EAB1, 0)
    table = len(data) - (8 + 8 * count + 9)
    assert struct.unpack_from("<II", data, table) == (0x184D2A5E, 8 * count + 9)
    entries = list(struct.iter_unpack("<II", data[table + 8 : -9]))
    assert table == sum(stored for stored, _ in entries)
    trailer = table - entries[-1][0]
    assert struct.unpack_from("<II", data, trailer) == (0x184D2A50, table - trailer - 8)
    text = data[trailer + 8 : table]
    blank = text[:-67] + b"0" * 64 + text[-3:]
    assert text[-67:-3].decode() == hashlib.sha256(blank).hexdigest()
    logs, position = [], 0
    for stored, log in entries[:-1]:
        frame = data[position : position + stored]
        program = "zstd" if frame[:4] == b"\x28\xb5\x2f\xfd" else "lz4"
        logs.append(subprocess.run([program, "-dc"], input=frame, capture_output=True, check=True).stdout)
        assert len(logs[-1]) == log
        position += stored
    return logs, json.loads(text)


def test_the_example_in_the_document_is_what_the_program_writes() -> None:
    _, example = _example()
    assert _hex_dump(example) in DOCUMENT.read_text(), f"the example should be\n{_hex_dump(example)}"


def test_the_example_in_the_document_is_a_whole_object() -> None:
    batch, _ = _example()
    rows = re.findall(r"^[0-9a-f]{8}: ((?:[0-9a-f]{2,4} )*[0-9a-f]{2,4}) ", DOCUMENT.read_text(), re.MULTILINE)
    data = bytes.fromhex("".join(rows))
    [place] = verify_object(data, sha256=None).places
    assert (0, len(batch)) == (place.position, place.log_bytes)
    assert batch == data[12 : 12 + len(batch)]
    assert f"SHA-256 `{hashlib.sha256(data).hexdigest()}`" in DOCUMENT.read_text()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_documents_steps_read_an_object(compression: str) -> None:
    written = packed_object(compression)
    logs, document = _read_by_the_document(written.data)
    assert list(written.frames) == logs
    assert isinstance(document["segments"], list)
    assert [segment["frames"] for segment in document["segments"]] == [2, 1, 1]
    assert document["format"] == 1
