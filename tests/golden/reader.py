"""An independent reader of repository format 1, written from the two FORMAT.md files and Kafka's own documentation.

It shares no code with the program: what it reads proves the format.
    python reader.py REPOSITORY SET           lists the set's points
    python reader.py REPOSITORY SET SEQ       prints the records of one point
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import sys
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import cramjam
import lz4.frame
import zstandard

BATCH = struct.Struct(">qiibIhiqqqhii")
KINDS = "point void note expire unexpire remove drop hold release freeze thaw label mark unmark".split()  # noqa: SIM905
Document = dict[str, Any]
Record = tuple[str, int, int, int, bytes | None, bytes | None, tuple[tuple[bytes, bytes | None], ...]]
"""Topic, partition, offset, timestamp, key, value, headers."""


class Unreadable(Exception):
    """Stored bytes are not what was written, or a newer version wrote them."""


def require(holds: bool, complaint: str) -> None:
    if not holds:
        raise Unreadable(complaint)


def opened(stored: bytes, name: str) -> Document:
    """A sealed document: 64 characters of digest before the last three bytes."""
    digest = hashlib.sha256(stored[:-67] + b"0" * 64 + stored[-3:]).hexdigest()
    require(stored[-67:] == digest.encode() + b'"}\n', f"{name}: digest")
    document: Document = json.loads(stored)
    require(document["format"] <= 1, f"{name}: format {document['format']} is newer than this reader")
    return document


def points(root: Path, set_name: str) -> list[Document]:
    """The set's live points in order; every entry of the log is checked on the way."""
    repository_id = opened((root / "repository.json").read_bytes(), "repository.json")["repository_id"]
    entries, expired, newest, parent, seq = list[Document](), set[int](), None, None, 1
    while (path := root / f"meta/{set_name}/log/{seq:010d}.json").exists():
        entry = opened(stored := path.read_bytes(), path.name)
        require(entry["kind"] in KINDS, f"{path.name}: unknown kind {entry['kind']}")
        entries, newest = [*entries, entry], seq if entry["kind"] == "point" else newest
        expired ^= set(entry["points"]) if entry["kind"] in ("expire", "unexpire") else set()
        place = [seq, set_name, repository_id, parent, newest]
        stated = [entry[name] for name in ("seq", "set", "repository_id", "parent", "newest_point")]
        require(place == stated, f"{path.name}: {stated} is not {place}")
        parent, seq = hashlib.sha256(stored).hexdigest(), seq + 1
    live, drops = ([entry for entry in entries if entry["kind"] == kind] for kind in ("point", "drop"))
    return [
        {**point, "drops": [drop for drop in drops if point["seq"] not in drop["spared"]]}
        for point in live
        if point["seq"] not in expired
    ]


@lru_cache(8)
def fetched(root: Path, key: str, sha256: str, stored_bytes: int) -> bytes:
    stored = (root / key).read_bytes()
    require(len(stored) == stored_bytes and hashlib.sha256(stored).hexdigest() == sha256, f"{key}: size or sha256")
    return stored


def contents(root: Path, point: Document, member: str) -> Iterator[tuple[int, bytes]]:
    """(the seq that `null` stands for inside, data) of each object that a member of the point refers to."""
    for named in point[member]:
        stored = fetched(root, named["key"], named["sha256"], named["stored_bytes"])
        yield point["seq"] if named["seq"] is None else named["seq"], decompressed(stored)


def rows_of(root: Path, point: Document) -> list[Document]:
    """The partition table: of two rows of one partition the later reference's wins."""
    rows: dict[tuple[str, int], Document] = {}
    for seq, data in contents(root, point, "table"):
        table = json.loads(data)
        require(table["format"] <= 1, f"table: format {table['format']} is newer than this reader")
        for row in table["rows"]:
            base_seq = seq if row["base_seq"] is None else row["base_seq"]
            rows[row["topic_id"], row["partition"]] = {**row, "base_seq": base_seq}
    return sorted(rows.values(), key=lambda row: (row["topic"], row["topic_id"], row["partition"]))


def pieces(row: Document, lines: list[Document]) -> list[tuple[int, int, Document]]:
    """(first, next, line): how the lines that count tile the row, the latest first served where they overlap."""
    place = (row["topic_id"], row["partition"])
    own = [line for line in lines if (line["topic_id"], line["partition"]) == place and line["seq"] >= row["base_seq"]]
    free, taken = [(row["first"], row["next"])], list[tuple[int, int, Document]]()
    for line in sorted(own, key=lambda line: -int(line["seq"])):
        taken += [(max(first, line["first"]), min(end, line["next"]), line) for first, end in free]
        left = [(first, min(end, line["first"])) for first, end in free]
        right = [(max(first, line["next"]), end) for first, end in free]
        free = [(first, end) for first, end in left + right if first < end]
    require(not any(first < end for first, end in free), f"{row['topic']}-{row['partition']}: no line for {free}")
    return sorted((piece for piece in taken if piece[0] < piece[1]), key=lambda piece: piece[0])


def records(root: Path, point: Document) -> Iterator[Record]:
    """Every restorable record of the point, by topic and partition, in the order of offsets."""
    read = [(seq, json.loads(text)) for seq, data in contents(root, point, "index") for text in data.splitlines()]
    lines = [{**line, "seq": seq if line["seq"] is None else line["seq"]} for seq, line in read]
    for row in rows_of(root, point):
        for first, end, line in pieces(row, lines):
            drops = point["drops"]
            newest = line.get("captured_to_ms", line["captured_ms"])
            gone = any(line["seq"] <= drop["up_to"] and newest < drop["before_ms"] for drop in drops)
            for frame in [one for one in line["frames"] if not gone and one[0] < end and first < one[1]]:
                stored = fetched(root, line["object"], line["sha256"], line["stored_bytes"])
                found = [record for record in frame_records(stored, line, frame) if first <= record[2] < end]
                is_cut = frame[0] < first or end < frame[1]
                require(is_cut or len(found) == frame[5], f"{line['object']}: restorable records of {frame}")
                yield from found


def frame_records(stored: bytes, line: Document, frame: list[Any]) -> Iterator[Record]:
    """Records of a frame's batches, without control batches and aborted ones."""
    log, at = decompressed(stored[frame[2] : frame[2] + frame[3]]), 0
    is_known = (*frame[2:4], len(log)) in frames_of(stored) and len(log) == frame[4]
    require(is_known, f"{line['object']}: its seek table and its index line differ about {frame}")
    while at < len(log):
        base, length, _, magic, _, attributes, _, base_ms, max_ms, producer, _, _, count = BATCH.unpack_from(log, at)
        require(magic == 2, f"{line['object']}: magic {magic} at offset {base}")
        is_aborted = attributes & 0x10 and any(p == producer and a <= base <= b for p, a, b in line["aborted"])
        if not attributes & 0x20 and not is_aborted:
            body = io.BytesIO(inflated(log[at + BATCH.size : at + 12 + length], attributes & 7))
            yield from (record(body, line, base, base_ms, max_ms if attributes & 8 else None) for _ in range(count))
        at += 12 + length


@lru_cache(4)
def frames_of(stored: bytes) -> list[tuple[int, int, int]]:
    """(position, stored bytes, log bytes) of a data object's frames, by its own seek table and trailer."""
    count, descriptor, magic = struct.unpack("<IBI", stored[-9:])
    table = stored[-(8 + 8 * count + 9) :]
    head = (*struct.unpack_from("<II", table), descriptor, magic)
    require(head == (0x184D2A5E, 8 * count + 9, 0, 0x8F92EAB1), "seek table")
    sizes = list(struct.iter_unpack("<II", table[8:-9]))
    require(sum(size for size, _ in sizes) + len(table) == len(stored), "seek table: sum of sizes")
    trailer = stored[len(stored) - len(table) - sizes[-1][0] : len(stored) - len(table)]
    require(struct.unpack_from("<II", trailer) == (0x184D2A50, len(trailer) - 8), "trailer")
    segments = opened(trailer[8:], "trailer")["segments"]
    require(sum(segment["frames"] for segment in segments) == count - 1, "trailer: number of frames")
    ends = accumulate(size for size, _ in sizes[:-1])
    return [(end - size, size, log) for end, (size, log) in zip(ends, sizes[:-1], strict=True)]


def decompressed(stored: bytes) -> bytes:
    """One zstd or LZ4 frame, as its first four bytes tell."""
    if stored[:4] == b"\x04\x22\x4d\x18":
        return bytes(lz4.frame.decompress(stored))
    return zstandard.ZstdDecompressor().decompressobj().decompress(stored)


def inflated(body: bytes, codec: int) -> bytes:
    """The records of a batch: 1 gzip, 2 snappy (bare, or in the blocks of the Java library), 3 lz4, 4 zstd."""
    if codec == 2 and body[:8] == b"\x82SNAPPY\0":
        source, blocks = io.BytesIO(body[16:]), b""
        while size := source.read(4):
            blocks += inflated(source.read(int.from_bytes(size)), codec)
        return blocks
    if codec == 2:
        return bytes(cramjam.snappy.decompress_raw(body))
    return gzip.decompress(body) if codec == 1 else decompressed(body) if codec else body


def record(body: io.BytesIO, line: Document, base: int, base_ms: int, append_ms: int | None) -> Record:
    varint(body), body.read(1)  # length and attributes
    created_ms, offset = base_ms + varint(body), base + varint(body)
    key, value = field(body), field(body)
    headers = tuple((field(body) or b"", field(body)) for _ in range(varint(body)))
    return line["topic"], line["partition"], offset, created_ms if append_ms is None else append_ms, key, value, headers


def field(body: io.BytesIO) -> bytes | None:
    return None if (length := varint(body)) < 0 else body.read(length)


def varint(body: io.BytesIO) -> int:
    value = shift = 0
    while (byte := body.read(1)[0]) & 128:
        value, shift = value | (byte & 127) << shift, shift + 7
    return ((value | byte << shift) >> 1) ^ -((value | byte << shift) & 1)


if __name__ == "__main__":
    for point in points(Path(sys.argv[1]), sys.argv[2]):
        if len(sys.argv) == 3:
            print(point["seq"], point["run"], point["status"], point["totals"])
        elif point["seq"] == int(sys.argv[3]):
            print(*("\t".join(map(str, found)) for found in records(Path(sys.argv[1]), point)), sep="\n")
