"""Reads, checks and writes the headers of record batches (magic 2). Numbers are big-endian.

     0  base offset         int64       27  base timestamp   int64
     8  batch length        int32       35  max timestamp    int64
    12  leader epoch        int32       43  producer id      int64
    16  magic               int8        51  producer epoch   int16
    17  CRC-32C             uint32      53  base sequence    int32
    21  attributes          int16       57  record count     int32
    23  last offset delta   int32       61  records, compressed as a whole by the codec

The batch length is the number of bytes from byte 12 on. The CRC covers the bytes from 21 on, so a broker can change
base offset and leader epoch without a new CRC. Source: Kafka's DefaultRecordBatch.java.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, Literal, NamedTuple

from tasks.batches.checksum import crc32c
from tasks.model.errors import UnsupportedBatchError

HEADER_BYTES: Final = 61
LENGTH_END: Final = 12
"""The number of bytes that the batch length does not count: base offset and batch length."""
MAGIC: Final = 2
Codec = Literal["none", "gzip", "snappy", "lz4", "zstd"]
CODECS: Final[tuple[Codec, ...]] = ("none", "gzip", "snappy", "lz4", "zstd")
"""The names of the codecs, by their numbers in the attributes."""

CODEC_BITS: Final = 0x07
LOG_APPEND_TIME_BIT: Final = 0x08
TRANSACTIONAL_BIT: Final = 0x10
CONTROL_BIT: Final = 0x20
DELETE_HORIZON_BIT: Final = 0x40

_HEADER = Struct(">qiibIhiqqqhii")
_BEFORE_CRC_RANGE = Struct(">qiibI")
_IN_CRC_RANGE = Struct(">hiqqqhii")
_ANY_MAGIC = Struct(">qi4xb")
"""Offset, length and magic are at the same places in all message formats."""
_LENGTH_AT = 8
_CRC_START = 21
_COUNT_AT = 57
_MAGIC_AT = 16


class BatchHeader(NamedTuple):
    """The fields as they are stored. `batch_length` is the number of bytes after the first 12. Timestamps are Unix
    milliseconds.

    `base_timestamp` is not the smallest timestamp: it is the time of the first record, or the delete horizon, or -1 in
    a batch without records.
    """

    base_offset: int
    batch_length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size_bytes(self) -> int:
        """The size of the whole batch, header included."""
        return LENGTH_END + self.batch_length

    @property
    def last_offset(self) -> int:
        """The last offset that the batch had when it was written. Compaction can have removed the record."""
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        """The offset after the last one. The next batch begins here or later."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def codec(self) -> Codec:
        """One of `CODECS`. Raises `UnsupportedBatchError` for a number that Kafka has not assigned."""
        check_codec(self)
        return CODECS[self.attributes & CODEC_BITS]

    @property
    def is_transactional(self) -> bool:
        """Whether the batch belongs to a transaction: as data, or, if `is_control` is true too, as its marker."""
        return bool(self.attributes & TRANSACTIONAL_BIT)

    @property
    def is_control(self) -> bool:
        """Whether the batch contains a marker and no user records."""
        return bool(self.attributes & CONTROL_BIT)

    @property
    def is_log_append_time(self) -> bool:
        """Whether the records have the broker's time. Then the time of every record is `max_timestamp`."""
        return bool(self.attributes & LOG_APPEND_TIME_BIT)

    @property
    def has_delete_horizon(self) -> bool:
        """Whether `base_timestamp` is the time after which a cleaner can remove tombstones and markers. The time of a
        record is base + delta in this case too."""
        return bool(self.attributes & DELETE_HORIZON_BIT)

    @property
    def is_dense(self) -> bool:
        """Whether the batch has as many records as offsets."""
        return self.record_count == self.last_offset_delta + 1


def read_header(data: bytes | memoryview, position: int) -> BatchHeader:
    """The header at `position`. Nothing is checked. `data` must have at least `HEADER_BYTES` from there on."""
    return BatchHeader._make(_HEADER.unpack_from(data, position))


def first_batch_bytes(data: bytes) -> int | None:
    """The size of the first batch, which can be larger than `data` if the batch is cut. None if its length is cut
    too. The length is at the same place in all message formats."""
    if len(data) < LENGTH_END:
        return None
    return LENGTH_END + int.from_bytes(data[_LENGTH_AT:LENGTH_END], "big")


def check_codec(header: BatchHeader) -> None:
    """Raises `UnsupportedBatchError` for a codec that Kafka has not assigned."""
    if header.attributes & CODEC_BITS >= len(CODECS):
        raise UnsupportedBatchError(
            f"The batch at offset {header.base_offset} has the unknown codec {header.attributes & CODEC_BITS}."
        )


def iter_headers(data: bytes | memoryview, *, where: str = "") -> Iterator[tuple[int, BatchHeader]]:
    """(position, header) of every whole batch in `data`, in order.

    If the last batch is cut, the iteration ends before it without an error, because a broker cuts fetch answers at
    their size limit. Raises `UnsupportedBatchError` for a magic other than 2, and for a batch length that is too small.
    The message begins with `where`.
    """
    position, size = 0, len(data)
    unpack, make = _HEADER.unpack_from, BatchHeader._make
    while position + HEADER_BYTES <= size:
        header = make(unpack(data, position))
        length = header[1]
        if header[3] != MAGIC or length < HEADER_BYTES - LENGTH_END:
            raise _not_a_batch(data, position, where)
        end = position + LENGTH_END + length
        if end > size:
            return
        yield position, header
        position = end
    # Messages of magic 0 and 1 can be shorter than a batch's header. They must not be treated as a cut batch.
    if position + _MAGIC_AT < size and data[position + _MAGIC_AT] != MAGIC:
        raise _not_a_batch(data, position, where)


def header_crc(data: bytes, position: int, header: BatchHeader) -> int:
    """The CRC-32C of the whole batch at `position`, computed from its bytes. `header.crc` should be equal to it."""
    return crc32c(data, position + _CRC_START, position + LENGTH_END + header.batch_length)


def check_crc(data: bytes, position: int, header: BatchHeader) -> bool:
    """Whether the CRC of the whole batch at `position` matches. It does not cover base offset, length, leader epoch and
    magic."""
    return header.crc == header_crc(data, position, header)


def assemble(header: BatchHeader, records: bytes) -> bytes:
    """A batch with the fields of `header` and these record bytes, which are compressed with its codec already.

    Length, magic and CRC are set for the new batch; those of `header` are ignored.
    """
    return _assembled(header.base_offset, header.leader_epoch, _IN_CRC_RANGE.pack(*header[5:]), records)


def stamp(batch: bytes, *, producer_id: int, producer_epoch: int, base_sequence: int) -> bytes:
    """A whole batch as a producer sends it: with base offset 0, no leader epoch, this producer's fields, and a new CRC.
    Of the attributes only the codec is kept. The record bytes stay as they are. Use it only if `needs_rebuild` is
    false."""
    attributes, last_delta, base_timestamp, max_timestamp, _, _, _, records = _IN_CRC_RANGE.unpack_from(
        batch, _CRC_START
    )
    covered = _IN_CRC_RANGE.pack(
        attributes & CODEC_BITS,
        last_delta,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        records,
    )
    return _assembled(0, -1, covered, batch[HEADER_BYTES:])


def record_count(batch: bytes) -> int:
    """The record count in a batch's header, read without the other fields."""
    return int.from_bytes(batch[_COUNT_AT:HEADER_BYTES], "big")


def _assembled(base_offset: int, leader_epoch: int, covered: bytes, records: bytes) -> bytes:
    crc = crc32c(records, 0, len(records), crc32c(covered, 0, len(covered)))
    length = HEADER_BYTES - LENGTH_END + len(records)
    return b"".join((_BEFORE_CRC_RANGE.pack(base_offset, length, leader_epoch, MAGIC, crc), covered, records))


def _not_a_batch(data: bytes | memoryview, position: int, where: str) -> UnsupportedBatchError:
    offset, length, magic = _ANY_MAGIC.unpack_from(data, position)
    prefix = f"{where}: " if where else ""
    if magic in (0, 1):
        return UnsupportedBatchError(
            f"{prefix}offset {offset} is in the old message format (magic {magic}), which cannot be backed up; "
            "only record batches (magic 2, Kafka 0.11 and later) can."
        )
    what = f"magic {magic}" if magic != MAGIC else f"the impossible length {length}"
    return UnsupportedBatchError(f"{prefix}the bytes at offset {offset} are not a record batch: they have {what}.")
