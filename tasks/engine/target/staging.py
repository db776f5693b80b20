"""Settings of a restored topic: while it is replayed into, and in the end. Pure.

Old records must not be rejected, recompressed or expired while they arrive, so a topic is staged with settings that
allow everything; its own come back last, and those that would delete restored records only when told to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.repository.lines import IndexLine

_LONGEST_MS = str((1 << 63) - 1)
_LEAST_MESSAGE_BYTES = 16 << 20
_UNKNOWN = "0"
"""For what a broker keeps nobody may tell us: as if it kept nothing."""

NOT_COPIED: Mapping[str, str] = {
    "leader.replication.throttled.replicas": "it names the source's brokers",
    "follower.replication.throttled.replicas": "it names the source's brokers",
    "remote.storage.enable": "tiered storage is the target cluster's own affair",
    "local.retention.ms": "it only matters with tiered storage",
    "local.retention.bytes": "it only matters with tiered storage",
    "remote.log.copy.disable": "it only matters with tiered storage",
    "remote.log.delete.on.disable": "it only matters with tiered storage",
    "message.format.version": "Kafka 4 does not know it any more",
    "message.downconversion.enable": "Kafka 4 does not know it any more",
    "message.timestamp.difference.max.ms": "Kafka 4 does not know it any more",
}
"""Settings that are left behind, and why."""


def staging_settings(largest_batch_bytes: int) -> dict[str, str]:
    """What a topic has set on itself while it is replayed into."""
    return {
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "cleanup.policy": "delete",
        "compression.type": "producer",
        "message.timestamp.type": "CreateTime",
        "message.timestamp.before.max.ms": _LONGEST_MS,
        "message.timestamp.after.max.ms": _LONGEST_MS,
        "max.message.bytes": str(max(_LEAST_MESSAGE_BYTES, 2 * largest_batch_bytes)),
    }


def copied_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings that can stand on another cluster."""
    return {name: value for name, value in settings.items() if name not in NOT_COPIED}


def deferred_settings(
    settings: Mapping[str, str],
    defaults: Mapping[str, str],
    partitions: Sequence[Sequence[IndexLine]],
    *,
    choice: str | None,
    now_ms: int,
) -> tuple[str, ...]:
    """Which settings wait for `finalize`: none with `apply`; with `defer`, or when records would go, those that
    delete. `defaults` are the target broker's values, which count where the topic sets none itself; where these are not
    known either, anything might go.

    Kafka drops a log segment whose newest record is older than `retention.ms`. A segment holds whole batches, so a
    batch is safe when its own maximum timestamp is young enough: the oldest batch of all decides.
    """
    policy = settings.get("cleanup.policy", defaults.get("cleanup.policy", "delete"))
    if choice == "apply" or "delete" not in policy:
        return ()
    in_force = {**defaults, **settings}
    age_ms, size_bytes = (int(in_force.get(name, _UNKNOWN)) for name in ("retention.ms", "retention.bytes"))
    if choice is None and not any(_would_go(lines, age_ms, size_bytes, now_ms) for lines in partitions):
        return ()
    compacting = ("cleanup.policy",) if "compact" in policy else ()
    return ("retention.ms", "retention.bytes", *compacting)


def final_changes(
    settings: Mapping[str, str], staging: Mapping[str, str], deferred: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """(settings to set, staged ones to take away) that finish a topic, but for the deferred ones."""
    to_set = {name: value for name, value in settings.items() if name not in deferred}
    if "cleanup.policy" in deferred:
        to_set["cleanup.policy"] = "compact"
    return to_set, sorted(name for name in staging if name not in settings and name not in deferred)


def deferred_changes(settings: Mapping[str, str], deferred: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """(settings to set, staged ones to take away) that end a deferral."""
    return (
        {name: settings[name] for name in deferred if name in settings},
        sorted(name for name in deferred if name not in settings),
    )


def _would_go(lines: Sequence[IndexLine], age_ms: int, size_bytes: int, now_ms: int) -> bool:
    stamps = [frame.oldest_ts for line in lines for frame in line.frames if frame.oldest_ts is not None]
    is_old = age_ms >= 0 and bool(stamps) and min(stamps) < now_ms - age_ms
    return is_old or 0 <= size_bytes < sum(line.log_bytes for line in lines)
