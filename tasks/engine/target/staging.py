"""The settings of a target topic during the replay and after it. Pure.

During the replay Kafka must not reject, recompress or delete old records, so a topic is staged with settings that
prevent it. After the restore the topic gets its own settings. Those that would delete restored records are deferred
until an operator applies them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.repository.lines import IndexLine

_LONGEST_MS = str((1 << 63) - 1)
_LEAST_MESSAGE_BYTES = 16 << 20
_UNKNOWN_RETENTION = "0"
"""Used if a broker's retention is not known. Unknown is treated as the unsafe case: the broker keeps nothing."""

NOT_COPIED: Mapping[str, str] = {
    "leader.replication.throttled.replicas": "its value contains the source's broker ids",
    "follower.replication.throttled.replicas": "its value contains the source's broker ids",
    "remote.storage.enable": "tiered storage is configured for each cluster",
    "local.retention.ms": "it has no effect without tiered storage",
    "local.retention.bytes": "it has no effect without tiered storage",
    "remote.log.copy.disable": "it has no effect without tiered storage",
    "remote.log.delete.on.disable": "it has no effect without tiered storage",
    "message.format.version": "Kafka 4 removed it",
    "message.downconversion.enable": "Kafka 4 removed it",
    "message.timestamp.difference.max.ms": "Kafka 4 removed it",
}
"""Settings that are not restored, and why."""


def staging_settings(largest_batch_bytes: int) -> dict[str, str]:
    """The staging settings of a topic: what is set on it during the replay."""
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
    """The settings that are valid on another cluster."""
    return {name: value for name, value in settings.items() if name not in NOT_COPIED}


def deferred_settings(
    settings: Mapping[str, str],
    defaults: Mapping[str, str],
    partitions: Sequence[Sequence[IndexLine]],
    *,
    choice: str | None,
    now_ms: int,
) -> tuple[str, ...]:
    """Returns the settings that wait for `finalize`.

    With the choice `apply` there are none. With `defer`, and without a choice if restored records would be deleted,
    they are the settings that delete. `defaults` are the brokers' values for topics without the setting. A retention
    that is neither set nor in `defaults` is treated as one that deletes everything.

    Kafka deletes a log segment if its newest record is older than `retention.ms`. A segment contains whole batches, so
    a batch is safe if its own maximum timestamp is recent enough. Therefore the batch with the oldest one decides.
    """
    policy = settings.get("cleanup.policy", defaults.get("cleanup.policy", "delete"))
    if choice == "apply" or "delete" not in policy:
        return ()
    effective = {**defaults, **settings}
    age_ms, size_bytes = (int(effective.get(name, _UNKNOWN_RETENTION)) for name in ("retention.ms", "retention.bytes"))
    if choice is None and not any(_would_delete(lines, age_ms, size_bytes, now_ms) for lines in partitions):
        return ()
    compacting = ("cleanup.policy",) if "compact" in policy else ()
    return ("retention.ms", "retention.bytes", *compacting)


def final_changes(
    settings: Mapping[str, str], staging: Mapping[str, str], deferred: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """(settings to set, settings to remove) that give a staged topic its settings, without the deferred ones."""
    to_set = {name: value for name, value in settings.items() if name not in deferred}
    if "cleanup.policy" in deferred:
        to_set["cleanup.policy"] = "compact"
    return to_set, sorted(name for name in staging if name not in settings and name not in deferred)


def deferred_changes(settings: Mapping[str, str], deferred: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """(settings to set, settings to remove) that apply the deferred settings."""
    return (
        {name: settings[name] for name in deferred if name in settings},
        sorted(name for name in deferred if name not in settings),
    )


def _would_delete(lines: Sequence[IndexLine], age_ms: int, size_bytes: int, now_ms: int) -> bool:
    stamps = [frame.oldest_ts for line in lines for frame in line.frames if frame.oldest_ts is not None]
    is_old = age_ms >= 0 and bool(stamps) and min(stamps) < now_ms - age_ms
    return is_old or 0 <= size_bytes < sum(line.log_bytes for line in lines)
