"""Retention: whole segments go, and the log begins where the first one that stays begins.

Source: Kafka's UnifiedLog.deleteOldSegments.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.kafka.segments import Segment
from tests.simulation.kafka.stored_log import StoredLog
from tests.simulation.kafka.topic_settings import TopicSettings


def apply_retention(log: StoredLog, settings: TopicSettings, *, now_ms: int) -> None:
    """Delete segments below the log start, and of topics that delete those too old or beyond the size."""
    if settings.has_policy("delete"):
        longest_ms, largest_bytes = settings.number("retention.ms"), settings.number("retention.bytes")
        if longest_ms >= 0:
            _delete_while(log, lambda segment: now_ms - segment.newest_timestamp > longest_ms)
        if largest_bytes >= 0:
            _delete_while(log, _beyond_size(log.size_bytes - largest_bytes))
    while len(log.segments) > 1 and log.segments[1].base_offset <= log.log_start:
        log.segments.pop(0)


def _beyond_size(surplus_bytes: int) -> Callable[[Segment], bool]:
    left = surplus_bytes

    def is_beyond(segment: Segment) -> bool:
        nonlocal left
        left -= segment.size_bytes
        return left >= 0

    return is_beyond


def _delete_while(log: StoredLog, is_due: Callable[[Segment], bool]) -> None:
    """Delete segments from the oldest on. Where all are due, an empty one is begun first."""
    due = 0
    for index, segment in enumerate(log.segments):
        following = log.segments[index + 1].base_offset if index + 1 < len(log.segments) else log.end
        if not segment.batches and index + 1 == len(log.segments):
            break
        if following > log.high_watermark or not is_due(segment):
            break
        due += 1
    if due == len(log.segments):
        log.roll()
    if due:
        del log.segments[:due]
        log.move_start(log.segments[0].base_offset)
