"""Finds the data that is older than the policy's `maximum_age`. Reads the log, a listing of it, and index objects,
never data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.engine.options import RetentionPolicy, duration_ms
from tasks.engine.retention.named_objects import NamedObjects
from tasks.engine.retention.plan_id import PlanMoment
from tasks.repository.drops import Drop
from tasks.repository.names import log_key, log_prefix
from tasks.repository.set_log import SetLog
from tasks.repository.set_state import SetState


@dataclass(frozen=True, slots=True)
class OldData:
    """Data that leaves the set. `objects` are the data objects that `drop` takes whole, with their stored bytes.
    `points` are the points that lose data, also those that expire."""

    drop: Drop
    objects: Mapping[str, int]
    points: tuple[int, ...]


def find_old_data(names: NamedObjects, state: SetState, policy: RetentionPolicy, moment: PlanMoment) -> OldData | None:
    """The data that was captured more than `maximum_age` before the moment, and that no earlier drop took from every
    point that is not held. None if there is none, if the policy has no `maximum_age`, or if a hold protects the whole
    set. `names` is of the set's log.

    The time of a capture is that of the writer's clock. Because it can be wrong, data stays until its log entry is
    older than `minimum_age` and than the grace, by the store's clock. Raises `DamagedError` if it is not known what the
    points name.
    """
    known = (*state.points, *state.expired)
    held = {seq for seq in known if state.is_held(seq)}
    if policy.maximum_age is None or any(hold.points is None for hold in state.holds.values()):
        return None
    before_ms = moment.now_ms - duration_ms(policy.maximum_age)
    youngest_ms = moment.now_ms - max(duration_ms(policy.minimum_age or policy.grace), duration_ms(policy.grace))
    limit = Drop(before_ms=before_ms, up_to=_last_stored_before(names.log, youngest_ms))
    complete = [drop for drop in state.drops if not (set(drop.spared) & set(known)) - held]
    losing = [seq for seq in known if seq not in held]
    old = {
        key: one for key, one in names.objects_of(losing) if one.is_dropped([limit]) and not one.is_dropped(complete)
    }
    if not old:
        return None
    drop = Drop(
        before_ms=max(one.captured_ms for one in old.values()) + 1,
        up_to=max(one.seq for one in old.values()),
        spared=tuple(sorted(held)),
    )
    return OldData(drop, {key: one.stored_bytes for key, one in old.items()}, names.points_with(old.keys(), losing))


def _last_stored_before(log: SetLog, time_ms: int) -> int:
    """The largest seq for which it and all earlier entries were stored before this time, by the store's clock. 0 if
    there is none."""
    last = 0
    for info in log.store.list(log_prefix(log.set_name)):
        if info.key != log_key(log.set_name, last + 1) or info.modified_ms >= time_ms:
            break
        last += 1
    return last
