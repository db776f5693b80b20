"""The settings of a target topic during the replay and after it: which are staged, which are deferred, which are never
copied, and what replaces a setting that the target refuses. Pure.

During the replay Kafka must not reject, recompress or delete old records, so a topic is staged: it gets settings that
prevent it. Only those are staged that its records need on this target. After the restore the topic gets its own
settings. Those that would delete restored records are deferred until an operator applies them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tasks.engine.record_filter.tally import Tally
from tasks.repository.lines import IndexLine

LONGEST_MS = (1 << 63) - 1
DEFAULT_MESSAGE_BYTES = 1_048_588
"""Kafka's default of `max.message.bytes`."""

RESTORE_TIME_MS = 24 * 3_600_000
"""Records that a topic would keep for less than this time are protected, because a restore can take as long."""

_CLOCK_DIFFERENCE_MS = 10 * 60_000
"""How much the clocks of this machine and of the brokers can differ."""

_UNKNOWN_RETENTION = "0"
"""Used if a broker's retention is not known. Unknown is treated as the unsafe case: the broker keeps nothing."""

BEFORE = "message.timestamp.before.max.ms"
AFTER = "message.timestamp.after.max.ms"
DIFFERENCE = "message.timestamp.difference.max.ms"
"""Kafka 4 removed it. Before Kafka 3.6 it is the only limit of timestamps, in both directions."""

NOT_COPIED: Mapping[str, str] = {
    "leader.replication.throttled.replicas": "its value contains the source's broker ids",
    "follower.replication.throttled.replicas": "its value contains the source's broker ids",
    "remote.storage.enable": "tiered storage is configured for each cluster",
    "local.retention.ms": "it has no effect without tiered storage",
    "local.retention.bytes": "it has no effect without tiered storage",
    "remote.log.copy.disable": "it has no effect without tiered storage",
    "remote.log.delete.on.disable": "it has no effect without tiered storage",
}
"""Settings that are not restored to any cluster, and why."""

REMOVED_IN_4: Mapping[str, str] = dict.fromkeys(
    ("message.format.version", "message.downconversion.enable", DIFFERENCE), "Kafka 4 removed it"
)
"""Settings that are restored only to a cluster that is known to have them, and why not to others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFacts:
    """The facts of the index lines about the records that a topic receives.

    `sent_batch_bytes` is the size that a sent batch can have at most, unless small batches are joined.
    `oldest_batch_ms` is the smallest maximum timestamp of a batch, which Kafka's retention uses. `oldest_ms` is the
    smallest timestamp of a record, None if it is not known. The three times are None without records.
    """

    has_records: bool
    largest_batch_bytes: int
    sent_batch_bytes: int
    largest_partition_bytes: int
    oldest_batch_ms: int | None
    oldest_ms: int | None
    newest_ms: int | None
    codecs: frozenset[str]


NO_RECORDS: Final = RecordFacts(
    has_records=False,
    largest_batch_bytes=0,
    sent_batch_bytes=0,
    largest_partition_bytes=0,
    oldest_batch_ms=None,
    oldest_ms=None,
    newest_ms=None,
    codecs=frozenset(),
)


def record_facts(
    partitions: Sequence[Sequence[IndexLine]], tallies: Sequence[Tally | None] | None = None
) -> RecordFacts:
    """The facts of the counting lines of some partitions. If a line lacks a fact that it should have, the unsafe case
    is assumed. A partition of which only some records are restored has a tally of them; the facts are then those of the
    batches that are written."""
    tallies = [None] * len(partitions) if tallies is None else tallies
    return _joined(
        [
            _facts_of_lines(lines) if tally is None else _facts_of_tally(lines, tally)
            for lines, tally in zip(partitions, tallies, strict=True)
        ]
    )


def _facts_of_lines(lines: Sequence[IndexLine]) -> RecordFacts:
    frames = [frame for line in lines for frame in line.frames if frame.restorable]
    largest = max((line.largest_batch_bytes for line in lines), default=0)
    minima = [frame.min_ts for frame in frames]
    return RecordFacts(
        has_records=bool(frames),
        largest_batch_bytes=largest,
        sent_batch_bytes=2 * largest if any(_is_rebuilt(line) for line in lines) else largest,
        largest_partition_bytes=sum(line.log_bytes for line in lines),
        oldest_batch_ms=min((-1 if one.oldest_ts is None else one.oldest_ts for one in frames), default=None),
        oldest_ms=min((one for one in minima if one is not None), default=None) if None not in minima else None,
        newest_ms=max((LONGEST_MS if one.max_ts is None else one.max_ts for one in frames), default=None),
        codecs=frozenset(codec for line in lines for codec in line.codecs),
    )


def _facts_of_tally(lines: Sequence[IndexLine], tally: Tally) -> RecordFacts:
    """Batches of which records are left out are rebuilt, so that their sizes change."""
    largest = max((line.largest_batch_bytes for line in lines), default=0)
    if not tally.records:
        return NO_RECORDS
    return RecordFacts(
        has_records=True,
        largest_batch_bytes=largest,
        sent_batch_bytes=2 * largest,
        largest_partition_bytes=tally.log_bytes,
        oldest_batch_ms=tally.oldest_batch_ms,
        oldest_ms=tally.oldest_ms if tally.has_exact_times else None,
        newest_ms=LONGEST_MS if tally.newest_ms is None else tally.newest_ms,
        codecs=frozenset(codec for line in lines for codec in line.codecs),
    )


def _joined(facts: Sequence[RecordFacts]) -> RecordFacts:
    """The facts of several partitions together."""
    full = [one for one in facts if one.has_records]
    oldest = [one.oldest_ms for one in full]
    return RecordFacts(
        has_records=bool(full),
        largest_batch_bytes=max((one.largest_batch_bytes for one in facts), default=0),
        sent_batch_bytes=max((one.sent_batch_bytes for one in facts), default=0),
        largest_partition_bytes=max((one.largest_partition_bytes for one in facts), default=0),
        oldest_batch_ms=min((one.oldest_batch_ms for one in full if one.oldest_batch_ms is not None), default=None),
        oldest_ms=min((one for one in oldest if one is not None), default=None) if None not in oldest else None,
        newest_ms=max((one.newest_ms for one in full if one.newest_ms is not None), default=None),
        codecs=frozenset(codec for one in facts for codec in one.codecs),
    )


def _is_rebuilt(line: IndexLine) -> bool:
    """Whether a batch of the line can be rebuilt, so that its size changes: a batch with holes, with the broker's
    times, or of which only a part is in the line."""
    has_other_times = line.timestamp_type not in (None, "CreateTime")
    return has_other_times or any(not frame.is_dense or line.is_cut(frame) for frame in line.frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingNeeds:
    """What the staging of one topic depends on.

    `during` are the settings in force on the target if nothing is staged, `after` those in force after the restore;
    both as far as they are known. `known` are the names of all topic settings that the target has, None if they are not
    known. `is_keyed`: the source was compacted, so every record has a key. `choice` is the option `finalize`.
    """

    facts: RecordFacts
    during: Mapping[str, str]
    after: Mapping[str, str]
    known: frozenset[str] | None
    is_keyed: bool
    choice: str | None
    joined_batch_bytes: int
    now_ms: int


def needed_staging(needs: StagingNeeds) -> dict[str, str]:
    """The staging settings of a topic: those that replace a value with which the target could refuse, change or delete
    the topic's records. A value that is not known counts as such a value. Without records nothing is staged."""
    if not needs.facts.has_records:
        return {}
    return dict(
        [
            *_policy(needs),
            *_retention(needs),
            *_compression(needs),
            *_timestamp_type(needs),
            *_timestamp_limits(needs),
            *_message_bytes(needs),
        ]
    )


def _policy(needs: StagingNeeds) -> Iterator[tuple[str, str]]:
    if "compact" in needs.during.get("cleanup.policy", "compact"):
        yield "cleanup.policy", "delete"


def _retention(needs: StagingNeeds) -> Iterator[tuple[str, str]]:
    """A staged topic has the policy `delete`, so that its retention counts even if it is compacted before and after."""
    for name in ("retention.ms", "retention.bytes"):
        value = int(needs.during.get(name, _UNKNOWN_RETENTION))
        is_short = name in _short_retention(needs.facts, {name: value}, needs.now_ms + RESTORE_TIME_MS, growth=2)
        if is_short or name in _to_defer(needs):
            yield name, "-1"


def _compression(needs: StagingNeeds) -> Iterator[tuple[str, str]]:
    present = needs.during.get("compression.type")
    if present != "producer" and needs.facts.codecs != {_CODEC_OF.get(present or "", present)}:
        yield "compression.type", "producer"


_CODEC_OF = {"uncompressed": "none"}


def _timestamp_type(needs: StagingNeeds) -> Iterator[tuple[str, str]]:
    if needs.during.get("message.timestamp.type") != "CreateTime":
        yield "message.timestamp.type", "CreateTime"


def _timestamp_limits(needs: StagingNeeds) -> Iterator[tuple[str, str]]:
    for name in (BEFORE, AFTER, DIFFERENCE):
        if _has(name, needs.known) and not _allows_times(name, needs):
            yield name, str(LONGEST_MS)


def _has(limit: str, known: frozenset[str] | None) -> bool:
    """Whether the target has this limit of timestamps. If the names of its settings are not known, or contain none of
    the three limits, it is assumed to have those of Kafka 4."""
    if known is None or not known & {BEFORE, AFTER, DIFFERENCE}:
        return limit != DIFFERENCE
    return limit in known


def _allows_times(name: str, needs: StagingNeeds) -> bool:
    """Whether the limit that is in force certainly accepts every record. A record without timestamp (-1) is always
    accepted."""
    value = needs.during.get(name)
    if value is None or int(value) >= LONGEST_MS:
        return value is not None
    facts, limit_ms = needs.facts, int(value)
    allows_old = facts.oldest_ms is not None and facts.oldest_ms >= needs.now_ms - limit_ms + RESTORE_TIME_MS
    allows_new = facts.newest_ms is None or facts.newest_ms <= needs.now_ms + limit_ms - _CLOCK_DIFFERENCE_MS
    return (allows_old or name == AFTER) and (allows_new or name == BEFORE)


def _message_bytes(needs: StagingNeeds) -> Iterator[tuple[str, str]]:
    needed = max(needs.facts.sent_batch_bytes, needs.joined_batch_bytes)
    present = needs.during.get("max.message.bytes")
    if present is None or int(present) < needed:
        yield "max.message.bytes", str(max(DEFAULT_MESSAGE_BYTES, needed))


def applicable_settings(settings: Mapping[str, str], known: frozenset[str] | None) -> dict[str, str]:
    """The settings of a backed-up topic that can be set on the target."""
    return {
        name: value
        for name, value in settings.items()
        if reason_not_applied(name, known) is None and not is_unknown(name, known)
    }


def reason_not_applied(name: str, known: frozenset[str] | None) -> str | None:
    """Why a setting of the backup is not set on the target; None if it is set."""
    if name in NOT_COPIED:
        return NOT_COPIED[name]
    if name in REMOVED_IN_4 and (known is None or name not in known):
        return REMOVED_IN_4[name]
    return None


def is_unknown(name: str, known: frozenset[str] | None) -> bool:
    """Whether the target does not know a setting."""
    return known is not None and name not in known


def _to_defer(needs: StagingNeeds) -> tuple[str, ...]:
    """The retention settings that wait for `finalize`."""
    if needs.choice == "apply" or "delete" not in needs.after.get("cleanup.policy", "delete"):
        return ()
    values = {name: int(needs.after.get(name, _UNKNOWN_RETENTION)) for name in ("retention.ms", "retention.bytes")}
    if needs.choice == "defer":
        return tuple(name for name, value in values.items() if value >= 0)
    return tuple(_short_retention(needs.facts, values, needs.now_ms))


def deferred_settings(needs: StagingNeeds, staging: Collection[str]) -> tuple[str, ...]:
    """Returns the settings that wait for `finalize`. Each of them is staged.

    With the choice `apply` there are none. With `defer` they are the retention settings that are not unlimited. Without
    a choice they are those that would delete restored records. A retention that is not known is treated as one that
    deletes everything. If one is deferred, `compact,delete` is too, and the topic is only compacted until then.

    Kafka deletes a log segment if its newest record is older than `retention.ms`. A segment contains whole batches, so
    a batch is safe if its own maximum timestamp is recent enough. Therefore the batch with the oldest one decides.
    """
    deferred = tuple(name for name in _to_defer(needs) if name in staging)
    is_compacted = "compact" in needs.after.get("cleanup.policy", "delete") and "cleanup.policy" in staging
    return (*deferred, "cleanup.policy") if deferred and is_compacted else deferred


def _short_retention(facts: RecordFacts, values: Mapping[str, int], now_ms: int, *, growth: int = 1) -> Iterator[str]:
    """The names of the retention settings whose values are too short: at `now_ms` Kafka would delete a record because
    of its age, or because of the size of the log if it becomes `growth` times as large as the source's."""
    if not facts.has_records:
        return
    age_ms, size_bytes = values.get("retention.ms", -1), values.get("retention.bytes", -1)
    if age_ms >= 0 and (facts.oldest_batch_ms or 0) < now_ms - age_ms:
        yield "retention.ms"
    if 0 <= size_bytes < growth * facts.largest_partition_bytes:
        yield "retention.bytes"


def final_changes(
    settings: Mapping[str, str], staging: Mapping[str, str], deferred: Sequence[str], present: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """(settings to set, settings to remove) that give a topic its settings, without the deferred ones. `present` are
    the settings that it had without staging: what is neither staged nor different is not set again."""
    to_set = {
        name: value
        for name, value in settings.items()
        if name not in deferred and (name in staging or present.get(name) != value)
    }
    if "cleanup.policy" in deferred:
        to_set["cleanup.policy"] = "compact"
    return to_set, sorted(name for name in staging if name not in settings and name not in deferred)


def deferred_changes(settings: Mapping[str, str], deferred: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """(settings to set, settings to remove) that apply the deferred settings."""
    return (
        {name: settings[name] for name in deferred if name in settings},
        sorted(name for name in deferred if name not in settings),
    )


@dataclass(frozen=True, slots=True)
class Unstaged:
    """The effect if a setting cannot be staged, as a sentence. `is_loss`: records would certainly be refused, changed
    or deleted."""

    is_loss: bool
    effect: str


def without_staging(name: str, needs: StagingNeeds) -> Unstaged:
    """The effect on the topic if a staging setting that its records need is not set. A value that is not known counts
    as the unsafe case, because otherwise a restore could fail when a part of the records is written."""
    match name:
        case "retention.ms" | "retention.bytes":
            value = int(needs.during.get(name, _UNKNOWN_RETENTION))
            is_short = name in _short_retention(needs.facts, {name: value}, needs.now_ms)
            if is_short or name in _to_defer(needs):
                known = f"its value is {value}" if name in needs.during else "its value is not known"
                return Unstaged(True, f"Kafka would delete restored records, because {known}")
            return Unstaged(False, "Kafka can delete the oldest records before they are verified")
        case "cleanup.policy" | "min.compaction.lag.ms":
            if needs.is_keyed:
                return Unstaged(False, "Kafka can compact the topic before it is verified")
            return Unstaged(True, "a compacted topic refuses records without a key, and the source was not compacted")
        case "compression.type":
            is_larger = needs.during.get(name) == "uncompressed" and needs.facts.codecs != {"none"}
            if is_larger:
                return Unstaged(True, "brokers would decompress batches, which can become larger than they accept")
            return Unstaged(False, "brokers compress the batches anew")
        case "message.timestamp.type":
            return Unstaged(True, "brokers would replace the times of all records by the time of the restore")
        case "max.message.bytes":
            limit = int(needs.during.get(name, str(DEFAULT_MESSAGE_BYTES)))
            if limit < needs.facts.largest_batch_bytes:
                largest = needs.facts.largest_batch_bytes
                return Unstaged(True, f"a batch has {largest} bytes and brokers accept {limit}")
            return Unstaged(False, "brokers can refuse batches that are written anew and become larger")
        case _:
            if _refuses_times(name, needs):
                return Unstaged(True, "brokers would refuse records because of their timestamps")
            return Unstaged(False, "brokers can refuse records because of their timestamps")


def _refuses_times(name: str, needs: StagingNeeds) -> bool:
    """Whether the limit that is in force certainly refuses a record."""
    value = needs.during.get(name)
    if value is None:
        return False
    facts, limit_ms = needs.facts, int(value)
    oldest, newest = facts.oldest_batch_ms, facts.newest_ms
    is_too_old = oldest is not None and 0 <= oldest < needs.now_ms - limit_ms
    is_too_new = newest is not None and newest > needs.now_ms + limit_ms
    return (is_too_old and name != AFTER) or (is_too_new and name != BEFORE)


def alternatives(name: str, value: str, needs: StagingNeeds) -> list[dict[str, str]]:
    """The settings to stage instead of a setting that the target refuses, the best first: a retention that is only as
    long as the records need, a limit that only the largest batch needs, or a lag that stops the cleaner."""
    match name:
        case "retention.ms":
            age_ms = needs.now_ms - (needs.facts.oldest_batch_ms or 0)
            finite = [str(age_ms + RESTORE_TIME_MS * days) for days in (7, 1)]
            return [{name: one} for one in finite if int(one) > int(needs.during.get(name, "0"))]
        case "max.message.bytes":
            least = str(max(needs.facts.largest_batch_bytes, needs.joined_batch_bytes))
            return [{name: least}] if least != value else []
        case "cleanup.policy":
            return [{"min.compaction.lag.ms": str(LONGEST_MS)}] if needs.is_keyed else []
        case _:
            return []
