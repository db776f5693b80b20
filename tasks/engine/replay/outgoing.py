"""The batches that a restore sends to one target partition, with the producer identity and the sequences of the
restore. Decides from which section on a continued restore reads the backup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from tasks.batches.header import record_count, stamp
from tasks.batches.rewrite import next_sequence
from tasks.broker.log_values import OutgoingBatch
from tasks.engine.record_filter.sections import counted_sections, hides_counts, shown_sections
from tasks.engine.replay.target_batches import target_batches
from tasks.engine.started_restore import StartedRestore
from tasks.model.errors import DamagedError
from tasks.repository.restores import Targets


class SectionStart(NamedTuple):
    """The beginning of a section, and the number of records to restore before it."""

    section: int
    records_before: int


FIRST_SECTION = SectionStart(0, 0)


def section_of(counts: Sequence[int], record: int) -> SectionStart:
    """The section that contains a record. `counts` are the records to restore of each section, `record` is the number
    of one of these records. Pure."""
    before = 0
    for section, after in enumerate(accumulate(counts)):
        if record < after:
            return SectionStart(section, before)
        before = after
    raise ValueError(f"the sections have no record {record}")


def section_counts(started: StartedRestore, index: int) -> Sequence[int]:
    """The records to restore of each section of a partition. Raises `DamagedError` if they are not as many as the plan
    says."""
    copy = started.plan.partitions[index]
    lines, wanted = started.lines[copy.source], started.filter_of(copy.source)
    if copy.section_records:
        counts = list(copy.section_records)
    elif hides_counts(lines, wanted):  # the plan of an earlier version
        counts = counted_sections(started.reader, lines, wanted)
    else:
        counts = shown_sections(lines, wanted)
    if sum(counts) != copy.records:
        raise DamagedError(
            f"{copy.source}: the backup should contain {copy.records} restorable records and contains {sum(counts)}."
        )
    return counts


def outgoing_batches(
    started: StartedRestore, targets: Targets, index: int, start: SectionStart = FIRST_SECTION
) -> Iterator[OutgoingBatch]:
    """The batches of a partition, from the beginning of a section on. Raises `DamagedError` at the end if the backup
    does not contain as many records as the plan says."""
    copy, target = started.plan.partitions[index], targets.partitions[index]
    sent = start.records_before
    for batch in target_batches(
        started.reader,
        started.lines[copy.source],
        started.filter_of(copy.source),
        regroup_bytes=started.plan.regroup_bytes,
        from_section=start.section,
    ):
        records = record_count(batch)
        yield OutgoingBatch(
            data=stamp(
                batch,
                producer_id=targets.producer_id,
                producer_epoch=targets.producer_epoch,
                base_sequence=next_sequence(0, sent),
            ),
            records=records,
            expected_offset=target.base + sent,
        )
        sent += records
    if sent != copy.records:
        raise DamagedError(
            f"{copy.source}: the backup should contain {copy.records} restorable records and contains {sent}."
        )
