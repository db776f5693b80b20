"""The filters of a restore: which records of each partition its options keep. Refuses names that the restore does not
include."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tasks.engine.options import RestoreOptions
from tasks.engine.record_filter.filters import filter_of, rule_labels
from tasks.engine.record_filter.record_filter import RecordFilter
from tasks.engine.record_rules import RecordRule
from tasks.engine.topic_patterns import is_literal
from tasks.engine.topic_selection import matches_any
from tasks.model.errors import RefusedError
from tasks.model.partition import Partition
from tasks.model.quoting import quoted, some_of
from tasks.model.suggestions import did_you_mean
from tasks.repository.marks import MarkedOffsets, read_mark
from tasks.repository.repository import Repository
from tasks.repository.restores import RestorePlan


def read_until_mark(repository: Repository, set_name: str, options: RestoreOptions) -> MarkedOffsets | None:
    """The offsets of the mark at which the restore ends. None without such an option. Raises `RefusedError` if the set
    has no such mark."""
    if options.until is None:
        return None
    name = mark_name(options)
    marks = repository.state(set_name).marks
    if name not in marks:
        near = did_you_mean(name, marks) or (f" It has {some_of(sorted(marks))}." if marks else " It has no marks.")
        raise RefusedError(f"until: the set {set_name} has no mark {quoted(name)}.{near}")
    return read_mark(repository.store, marks[name].offsets)


def mark_name(options: RestoreOptions) -> str:
    """The name of the mark at which the restore ends."""
    return (options.until or "").removeprefix("mark:")


def untils_of(
    options: RestoreOptions, sources: Sequence[Partition], mark: MarkedOffsets | None
) -> dict[Partition, int]:
    """The offset at which the restore of each partition ends. A partition that is not named is restored whole. With a
    mark, a partition that did not exist when it was set ends at 0.

    Raises `RefusedError` for a topic or partition of `until_offset` or of a rule that is not restored. Pure."""
    _check_names(options, sources)
    found: dict[Partition, int] = {}
    marked = {part.source: part.end for part in mark.partitions} if mark is not None else {}
    for source in sources:
        ends = [marked.get(source, 0)] if mark is not None else []
        named = options.until_offset.get(source.topic, {}).get(source.partition)
        ends += [named] if named is not None else []
        if ends:
            found[source] = min(ends)
    return found


def filters_of(
    options: RestoreOptions, sources: Sequence[Partition], untils: Mapping[Partition, int]
) -> dict[Partition, RecordFilter]:
    """The filters of the partitions of which records can be left out. Pure."""
    if not options.has_record_rules:
        return {}
    filters = {source: filter_of(options, source, untils.get(source)) for source in sources}
    return {source: wanted for source, wanted in filters.items() if wanted.has_rules}


def planned_filters(plan: RestorePlan, options: RestoreOptions) -> dict[Partition, RecordFilter]:
    """The filters of a restore with this plan, the same as when it was planned. Pure."""
    untils = {
        copy.source: copy.selection.until
        for copy in plan.partitions
        if copy.selection is not None and copy.selection.until is not None
    }
    return filters_of(options, [copy.source for copy in plan.partitions], untils)


def _check_names(options: RestoreOptions, sources: Sequence[Partition]) -> None:
    partitions: dict[str, list[int]] = {}
    for source in sources:
        partitions.setdefault(source.topic, []).append(source.partition)
    for topic, offsets in options.until_offset.items():
        if topic not in partitions:
            raise _unknown_topic("until_offset", topic, partitions)
        for number in offsets:
            if number not in partitions[topic]:
                raise _unknown_partition("until_offset", topic, number, partitions[topic])
    for kind, rules in (("select", options.select), ("exclude", options.exclude)):
        for label, rule in zip(rule_labels(rules, kind), rules, strict=True):
            _check_rule(f"{kind}, rule {quoted(label)}", rule, partitions)


def _check_rule(where: str, rule: RecordRule, partitions: Mapping[str, Sequence[int]]) -> None:
    for topic in rule.topics or ():
        if is_literal(topic) and topic not in partitions:
            raise _unknown_topic(where, topic, partitions)
    topics = [topic for topic in partitions if rule.topics is None or matches_any(topic, rule.topics)]
    if not topics:
        raise RefusedError(f"{where}: its topics match no restored topic. Correct them.")
    present = sorted({number for topic in topics for number in partitions[topic]})
    for number in rule.partitions or ():
        if number not in present:
            raise _unknown_partition(where, topics[0], number, present)
    if rule.key is not None and rule.key.file is not None and not rule.key.file_keys:
        raise RefusedError(
            f"{where}: the keys of {rule.key.file} are not known here, because only the command reads files of keys. "
            "Write the keys themselves as a list."
        )


def _unknown_topic(where: str, topic: str, topics: Collection[str]) -> RefusedError:
    near = did_you_mean(topic, topics) or f" It includes {some_of(sorted(topics))}."
    return RefusedError(f"{where}: this restore does not include the topic {topic}.{near}")


def _unknown_partition(where: str, topic: str, number: int, present: Sequence[int]) -> RefusedError:
    return RefusedError(
        f"{where}: this restore does not include partition {number} of {topic}. It includes "
        f"{some_of([str(one) for one in sorted(present)])}."
    )
