"""A leader takes a produced batch: it checks the batch, gives it offsets, and stores or refuses it.

Source: Kafka's ProduceRequest.java, UnifiedLog.append and LogValidator.java; KAFKA.md §3, in the order of the checks.
"""

from __future__ import annotations

from typing import NamedTuple

from tasks.batches.header import (
    CODEC_BITS,
    CODECS,
    HEADER_BYTES,
    LOG_APPEND_TIME_BIT,
    MAGIC,
    BatchHeader,
    assemble,
    check_crc,
    read_header,
)
from tasks.batches.record_slices import RecordSlice, read_slices
from tasks.batches.records import decode_records
from tasks.model.errors import UnsupportedBatchError
from tests.simulation.kafka.known_settings import LONGEST
from tests.simulation.kafka.rebuilding import rebuilt
from tests.simulation.kafka.refusals import (
    CORRUPT_MESSAGE,
    INVALID_RECORD,
    INVALID_TIMESTAMP,
    MESSAGE_TOO_LARGE,
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    UNKNOWN_SERVER_ERROR,
    Refused,
)
from tests.simulation.kafka.stored_log import StoredLog
from tests.simulation.kafka.topic_settings import TopicSettings

_NO_TIMESTAMP = -1
_CODEC_NAMES = {"uncompressed": "none"}


class Leader(NamedTuple):
    """The leader that appends: its epoch, its time, and after how many batches its segments roll (0: never)."""

    epoch: int
    now_ms: int
    segment_batches: int = 0


def append_produced(
    log: StoredLog, data: bytes, settings: TopicSettings, leader: Leader, *, is_transaction: bool = False
) -> int:
    """Append one batch as a client sends it; returns its base offset. A repeated batch is stored once.

    `is_transaction`: its producer has a transactional id, so that it may write inside a transaction. Raises `Refused`.
    """
    header = _only_batch(data)
    if header.is_transactional and not is_transaction:
        raise Refused(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    _check_batch(header, data, settings)
    accepted = _accepted(header, data, settings, leader)
    if len(accepted) > settings.number("max.message.bytes"):
        raise Refused(MESSAGE_TOO_LARGE)
    stored_before = log.producers.find_duplicate(header)
    if stored_before is not None:
        return stored_before
    return append_stamped(log, accepted, settings, leader)


def append_stamped(log: StoredLog, data: bytes, settings: TopicSettings, leader: Leader) -> int:
    """Store a batch that needs no check, at the log's end; returns its base offset."""
    header = read_header(data, 0)._replace(base_offset=log.end, leader_epoch=leader.epoch)
    log.append(assemble(header, data[HEADER_BYTES:]), rolls=_rolls(log, header, settings, leader))
    return header.base_offset


def _rolls(log: StoredLog, header: BatchHeader, settings: TopicSettings, leader: Leader) -> bool:
    active = log.segments[-1]
    is_full = active.size_bytes + header.size_bytes > settings.number("segment.bytes")
    is_long = 0 < leader.segment_batches <= len(active.batches)
    age_ms = header.max_timestamp - active.first_timestamp if active.first_timestamp >= 0 else 0
    return is_full or is_long or age_ms > settings.number("segment.ms")


def _only_batch(data: bytes) -> BatchHeader:
    """The header of the one batch that a request may carry for a partition."""
    if len(data) < HEADER_BYTES or data[16] != MAGIC:
        raise Refused(INVALID_RECORD)
    header = read_header(data, 0)
    if header.size_bytes != len(data):  # cut, or followed by another one
        raise Refused(INVALID_RECORD)
    return header


def _check_batch(header: BatchHeader, data: bytes, settings: TopicSettings) -> None:
    if header.base_offset != 0:
        raise Refused(INVALID_RECORD)
    if len(data) > settings.number("max.message.bytes"):
        raise Refused(MESSAGE_TOO_LARGE)
    if not check_crc(data, 0, header):
        raise Refused(CORRUPT_MESSAGE)
    if header.is_control or header.record_count <= 0 or not header.is_dense:
        raise Refused(INVALID_RECORD)
    if header.producer_id >= 0 and header.base_sequence < 0:
        raise Refused(INVALID_RECORD)


def _accepted(header: BatchHeader, data: bytes, settings: TopicSettings, leader: Leader) -> bytes:
    """The batch as it is stored: with the topic's kind of timestamp, and compressed as the topic wants it."""
    slices = _records(header, data)
    if settings.has_policy("compact") and any(record.key is None for record in decode_records(data)):
        raise Refused(INVALID_RECORD, "Compacted topic cannot accept message without key")
    is_append_time = settings.text("message.timestamp.type") == "LogAppendTime"
    if not is_append_time:
        _check_times(slices, settings, leader.now_ms)
    attributes = header.attributes & ~LOG_APPEND_TIME_BIT | (LOG_APPEND_TIME_BIT if is_append_time else 0)
    newest = leader.now_ms if is_append_time else max(piece.timestamp for piece in slices)
    wanted = settings.text("compression.type")
    codec = CODECS[header.attributes & CODEC_BITS] if wanted == "producer" else _CODEC_NAMES.get(wanted, wanted)
    header = header._replace(attributes=attributes, max_timestamp=newest)
    if codec != CODECS[header.attributes & CODEC_BITS]:
        return rebuilt(header, _dense(slices), codec=codec)
    return assemble(header, data[HEADER_BYTES:])


def _dense(slices: list[RecordSlice]) -> list[RecordSlice]:
    """Recompressed records have dense offsets."""
    return [piece._replace(offset=number) for number, piece in enumerate(slices)]


def _records(header: BatchHeader, data: bytes) -> list[RecordSlice]:
    """The records. A broker checks the offsets of compressed ones only; then it fails with an unknown error."""
    is_compressed = bool(header.attributes & CODEC_BITS)
    try:
        slices = read_slices(data)
    except UnsupportedBatchError:
        raise Refused(UNKNOWN_SERVER_ERROR if is_compressed else INVALID_RECORD) from None
    if is_compressed and [piece.offset for piece in slices] != list(range(len(slices))):
        raise Refused(UNKNOWN_SERVER_ERROR)
    return slices


def _check_times(slices: list[RecordSlice], settings: TopicSettings, now_ms: int) -> None:
    """Kafka's LogConfig.messageTimestampBeforeMaxMs: before 4, the older setting counts where the newer has its
    default."""
    before, after = (_time_limit(settings, f"message.timestamp.{side}.max.ms") for side in ("before", "after"))
    for piece in slices:
        age_ms = now_ms - piece.timestamp
        if piece.timestamp != _NO_TIMESTAMP and (age_ms > before or -age_ms > after):
            raise Refused(INVALID_TIMESTAMP)


def _time_limit(settings: TopicSettings, name: str) -> int:
    known, older = settings.brokers.known, "message.timestamp.difference.max.ms"
    limit = settings.number(name) if name in known else LONGEST
    return settings.number(older) if limit == LONGEST and older in known else limit
