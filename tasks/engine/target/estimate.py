"""Estimates how long the replay of a restore takes, from earlier restores of the same repository to the same
cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tasks.engine.options import RestoreOptions
from tasks.model.errors import DamagedError, UnsupportedError
from tasks.repository.restores import RestorePlan, StepDone, read_part, read_restore_plan, restore_parts
from tasks.store.protocol import ObjectStore

_MOST_MEASURED = 5
_LEAST_BYTES = 16 << 20
"""A smaller restore measures how long topics are prepared, and not how fast records are written."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate of a replay. `seconds` is None if nothing was measured. `measured` is the number of earlier restores
    that it comes from; 0 if it comes from a rate limit alone."""

    log_bytes: int
    records: int
    seconds: float | None
    measured: int = 0


def measured_rates(store: ObjectStore, cluster_id: str) -> list[float]:
    """The log bytes per second of the newest restores to this cluster that wrote enough to be measured, five at most.
    Restores whose documents are damaged, or of a later version, are left out. Raises the errors of the store."""
    found: list[float] = []
    for restore, parts in reversed(restore_parts(store).items()):
        if "replayed" in parts and (rate := _rate(store, restore, cluster_id)) is not None:
            found.append(rate)
        if len(found) == _MOST_MEASURED:
            break
    return found


def estimated(plan: RestorePlan, rates: Sequence[float]) -> Estimate:
    """The estimate for a plan: the median of the measured `rates` in bytes per second, but not faster than the rate
    limits of its options. Pure."""
    options = RestoreOptions.model_validate(plan.options)
    log_bytes, records = sum(copy.log_bytes for copy in plan.partitions), sum(copy.records for copy in plan.partitions)
    times = [log_bytes / median(rates)] if rates else []
    if options.rate_limit_bytes_per_sec:
        times.append(log_bytes / options.rate_limit_bytes_per_sec)
    if options.rate_limit_records_per_sec:
        times.append(records / options.rate_limit_records_per_sec)
    return Estimate(log_bytes, records, max(times, default=None), measured=len(rates))


def _rate(store: ObjectStore, restore: str, cluster_id: str) -> float | None:
    """The bytes per second of a restore, None if it was to another cluster or wrote too little."""
    try:
        plan, replayed = read_restore_plan(store, restore), read_part(store, restore, "replayed", StepDone)
    except (DamagedError, UnsupportedError):
        return None
    if replayed is None or plan.cluster_id != cluster_id:
        return None
    log_bytes, took_ms = sum(copy.log_bytes for copy in plan.partitions), replayed.time_ms - plan.created_ms
    return log_bytes * 1000 / took_ms if log_bytes >= _LEAST_BYTES and took_ms > 0 else None
