"""Makes the filter of a partition from the options of a restore. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.engine.record_filter.conditions import (
    Condition,
    HeaderCondition,
    KeyCondition,
    OffsetCondition,
    ProducerCondition,
    TimeCondition,
)
from tasks.engine.record_filter.record_filter import LabelledRule, RecordFilter
from tasks.engine.record_rules import RecordRule, RecordSelection, offset_range
from tasks.engine.topic_selection import matches_any
from tasks.model.partition import Partition


def filter_of(options: RecordSelection, source: Partition, until: int | None) -> RecordFilter:
    """The filter of a source partition. `until` is the offset at which the restore of the partition ends, by
    `until_offset` or a mark; None means its end."""
    return RecordFilter(
        until=until,
        window=_window(options.time_window_start, options.time_window_end),
        select=tuple(_concerning(source, options.select, "select")) if options.select else None,
        exclude=tuple(_concerning(source, options.exclude, "exclude")),
    )


def rule_labels(rules: Sequence[RecordRule], kind: str) -> list[str]:
    """The labels of the rules of a kind, `select` or `exclude`, in reports: their names, or their numbers."""
    return [rule.name or f"{kind} {number}" for number, rule in enumerate(rules, 1)]


def _concerning(source: Partition, rules: Sequence[RecordRule], kind: str) -> Iterator[LabelledRule]:
    """The rules that can match a record of the partition."""
    for label, rule in zip(rule_labels(rules, kind), rules, strict=True):
        is_topic = rule.topics is None or matches_any(source.topic, rule.topics)
        if is_topic and (rule.partitions is None or source.partition in rule.partitions):
            yield LabelledRule(label, tuple(_conditions(rule)))


def _conditions(rule: RecordRule) -> Iterator[Condition]:
    """The conditions of a rule, the cheap ones first."""
    if rule.producer_id is not None:
        yield ProducerCondition(frozenset(rule.producer_id))
    if rule.offsets is not None:
        yield OffsetCondition(tuple(offset_range(text) for text in rule.offsets))
    window = _window(rule.time_window_start, rule.time_window_end)
    if window is not None:
        yield window
    if rule.key is not None:
        yield KeyCondition(rule.key.whole_keys(), tuple(text.encode() for text in rule.key.prefix))
    if rule.header is not None:
        value = rule.header.value
        yield HeaderCondition(rule.header.name.encode(), None if value is None else value.encode())


def _window(start_ms: int | None, end_ms: int | None) -> TimeCondition | None:
    return None if start_ms is None and end_ms is None else TimeCondition(start_ms, end_ms)
