"""A prune: points that the policy does not keep expire; after the grace they are removed, and what nothing names any
more is deleted. Also brings expired points back.

The log decides. A point expires by an entry, and data is deleted only after another entry says that the point can never
come back. So a crash at any moment leaves either data that the next prune deletes, or points that are whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from tasks.engine.commit.runs import void_run
from tasks.engine.options import RetentionPolicy
from tasks.engine.retention.deleted import TEMPORARY_FILES, Amount, Deleted, amounts, deleted_except
from tasks.engine.retention.old_data import OldData
from tasks.engine.retention.plan_id import PlanId, PlanMoment
from tasks.engine.retention.prune_plan import PrunePlan, draft_prune, protection
from tasks.engine.retention.unnamed_objects import needed_by_pins
from tasks.engine.run_context import RunContext
from tasks.model.errors import (
    InterruptedRunError,
    LockedError,
    NotFoundError,
    PreconditionError,
    RefusedError,
    UndeletedError,
)
from tasks.repository.entries import (
    AnyEntry,
    DropEntry,
    ExpireEntry,
    RemoveEntry,
    UnexpireEntry,
)
from tasks.repository.leases import acquire, kept
from tasks.repository.names import prune_lease_key
from tasks.repository.pins import live_pins
from tasks.repository.repository import Repository
from tasks.repository.set_state import SetState
from tasks.store.protocol import ObjectStore

BATCH_OBJECTS = 1000
"""The number of objects that are deleted with one call, as S3 allows it with one request."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune did. `in_use` are the points of the plan that did not expire, because they are being read."""

    plan: PrunePlan
    deleted: Deleted
    in_use: tuple[int, ...] = ()


def plan_prune(context: RunContext, set_name: str, policy: RetentionPolicy) -> PrunePlan:
    """The plan of a prune of the set, now. Writes nothing. Raises `NotFoundError` if there is no such set, and what
    `draft_prune` raises."""
    context.repository.state(set_name)
    return draft_prune(context.repository, set_name, policy, now_ms=context.repository.now_ms())


def prune_locally(
    context: RunContext, set_name: str, policy: RetentionPolicy, *, plan_id: PlanId | None = None
) -> Pruned:
    """Plan and carry out a prune, while this process has the set's prune lease. With `plan_id` exactly that plan:
    raises `RefusedError` if somebody has changed the points that it is about, or the policy. New points change nothing.

    May be called again after any error. Raises `LockedError` if another prune of the set is running,
    `InterruptedRunError` on `stop`, `RefusedError` if the repository is frozen and the plan is not empty, and what
    `draft_prune` raises.
    """
    with pruning(context, set_name) as now_ms:
        if plan_id is None:
            plan = draft_prune(context.repository, set_name, policy, now_ms=now_ms)
        else:
            plan = plan_again(context.repository, set_name, policy, plan_id, now_ms=now_ms)
            require_sha256(plan, plan_id.sha256)
        in_use = change_points(context.repository, plan)
        deleted = delete_unnamed(context, plan).plus(delete_left_overs(context, plan))
        return Pruned(plan, deleted, in_use)


def plan_again(
    repository: Repository, set_name: str, policy: RetentionPolicy, plan_id: PlanId, *, now_ms: int
) -> PrunePlan:
    """The plan of the id's moment. It has another SHA-256 than the id if the points have been changed since then. Reads
    the log entries after the moment.

    Raises `RefusedError` if somebody has brought a point of the plan back, and what `PlanMoment.not_after` and
    `draft_prune` raise. A point that a prune itself brought back, because a reader had pinned it, changes nothing.
    """
    state = repository.state(set_name)
    moment = plan_id.moment.not_after(PlanMoment(state.seq, now_ms))
    plan = draft_prune(repository, set_name, policy, now_ms=moment.now_ms, at_seq=moment.seq)
    for seq in range(moment.seq + 1, state.seq + 1 if plan.expire else 0):
        found = repository.log(set_name).read_entry(seq)
        entry = found[0] if found is not None else None
        if isinstance(entry, UnexpireEntry) and entry.plan_sha256 is None and set(entry.points) & set(plan.expire):
            raise RefusedError(
                f"Points of this plan were brought back since it was made. Make a new plan for {set_name} with "
                "`kafka-backup prune`, and give its id."
            )
    return plan


def require_sha256(plan: PrunePlan, sha256: str) -> None:
    """Raises `RefusedError` if the plan takes something else away than the plan with this SHA-256."""
    if plan.sha256 != sha256:
        raise RefusedError(
            f"The plan for {plan.set_name} is another one now: the points or the policy have changed. Make a new plan "
            "with `kafka-backup prune`, and give its id."
        )


@contextmanager
def pruning(context: RunContext, set_name: str) -> Iterator[int]:
    """Hold the prune lease while the body plans and prunes. Yields the time to plan with, in Unix milliseconds: that of
    this machine or of the store, whichever is earlier, so that a clock that is ahead makes nothing old. Raises
    `NotFoundError` if there is no such set, and `LockedError` if another prune of it is running."""
    context.repository.state(set_name)
    key = prune_lease_key(set_name)
    lease = acquire(context.repository.store, key, stop=context.stop, clock=context.clock)
    with kept(lease, context.stop):
        yield min(context.repository.now_ms(), context.repository.store.head(key).modified_ms)


def change_points(repository: Repository, plan: PrunePlan, *, approved_by: str | None = None) -> tuple[int, ...]:
    """Append the entries of a plan: points expire and are removed, old data leaves the set, and runs that died are
    voided. May be called again. `approved_by` is who claims to have approved the plan, for the log.

    Returns the points of the plan that do not expire now, because they are pinned. A reader that waits for archived
    objects opens its point again later, and an expired point cannot be opened. If a point was pinned while it expired,
    it is brought back. The next prune plans these points again.

    Raises `PreconditionError` if a point has come under a hold, got a label that the policy keeps, or was brought back
    since the plan, and `RefusedError` if the repository is frozen."""
    if not plan.is_empty:
        repository.require_not_frozen(plan.set_name)
    for run in plan.unnamed.dead_runs:
        void_run(repository, plan.set_name, run, "its writer has written nothing for longer than the grace")
    log = repository.log(plan.set_name)
    in_use = _expire(repository, plan, approved_by)

    def remove(state: SetState) -> AnyEntry:
        points = _left_to_remove(plan, state)
        return RemoveEntry(**repository.next_change(plan.set_name, state), points=_require_some(points))

    with suppress(_NothingLeftError):
        log.append(remove)
    if plan.old is not None and plan.old.drop not in log.state().drops:
        log.append(partial(_drop_entry, repository, plan, plan.old, approved_by))
    live = log.state().points
    return tuple(seq for seq in plan.expire if seq in in_use and seq in live)


class _NothingLeftError(Exception):
    """No point is left for an entry, so it is not appended."""


def _require_some(points: tuple[int, ...]) -> tuple[int, ...]:
    if not points:
        raise _NothingLeftError
    return points


def _expire(repository: Repository, plan: PrunePlan, approved_by: str | None) -> set[int]:
    """Append the entry by which the points of the plan expire, except pinned ones. Returns the pinned points.

    The pins are read before the entry is appended and again after it. A reader pins its point and then reads the log.
    If its pin is written between the two readings, it can have found its point live, so the point is brought back.
    """
    pinned: set[int] = set()
    if not plan.expire:
        return pinned
    log = repository.log(plan.set_name)

    def read_pins() -> None:
        pinned.update(live_pins(log.store, plan.set_name, now_ms=repository.now_ms()))

    def expire(state: SetState) -> AnyEntry:
        read_pins()
        return ExpireEntry(
            **repository.next_change(plan.set_name, state),
            points=_require_some(_left_to_expire(plan, state, pinned=pinned)),
            policy=_stored_policy(plan),
            plan_sha256=plan.sha256,
            approved_by=approved_by,
        )

    def bring_back(state: SetState) -> AnyEntry:
        points = tuple(seq for seq in plan.expire if seq in state.expired and seq in pinned)
        return UnexpireEntry(
            **repository.next_change(plan.set_name, state), points=_require_some(points), plan_sha256=plan.sha256
        )

    with suppress(_NothingLeftError):
        log.append(expire)
    read_pins()
    with suppress(_NothingLeftError):
        log.append(bring_back)
    return pinned


def _drop_entry(
    repository: Repository, plan: PrunePlan, old: OldData, approved_by: str | None, state: SetState
) -> AnyEntry:
    held = {seq for seq in (*state.points, *state.expired) if state.is_held(seq)}
    if not held <= set(old.drop.spared) or any(hold.points is None for hold in state.holds.values()):
        raise PreconditionError(f"{plan.set_name}: a point came under a hold since the plan was made. Make a new plan.")
    return DropEntry(
        **repository.next_change(plan.set_name, state),
        before_ms=old.drop.before_ms,
        up_to=old.drop.up_to,
        spared=old.drop.spared,
        objects=len(old.objects),
        stored_bytes=sum(old.objects.values()),
        policy=_stored_policy(plan),
        plan_sha256=plan.sha256,
        approved_by=approved_by,
    )


def _stored_policy(plan: PrunePlan) -> dict[str, Any]:
    """The policy for the log, without the storage classes, which keep no points."""
    return plan.policy.model_dump(mode="json", exclude_none=True, exclude={"tiers"})


def _left_to_expire(plan: PrunePlan, state: SetState, *, pinned: Collection[int]) -> tuple[int, ...]:
    """The points that are still live and not pinned. Others have expired already, by an earlier call."""
    _require_unchanged(plan, plan.expire, {*state.points, *state.expired}, state)
    return tuple(seq for seq in plan.expire if seq in state.points and seq not in pinned)


def _left_to_remove(plan: PrunePlan, state: SetState) -> tuple[int, ...]:
    """The points that are still expired. The others were removed already, by an earlier call. A point that was brought
    back since the plan is not removed, also if it has expired again: its grace began anew."""
    since = {seq for seq, one in state.expired.items() if one.expired_by > plan.moment.seq}
    _require_unchanged(plan, plan.remove, set(plan.remove) - state.points.keys() - since, state)
    return tuple(seq for seq in plan.remove if seq in state.expired)


def _require_unchanged(plan: PrunePlan, seqs: Sequence[int], known: Collection[int], state: SetState) -> None:
    for seq in seqs:
        reason = protection(state, seq, plan.policy)
        if reason is not None:
            raise PreconditionError(f"Point {seq} got {reason} since the plan was made. Make a new plan.")
        if seq not in known:
            raise PreconditionError(f"Point {seq} was changed by another program since the plan. Make a new plan.")


def delete_unnamed(context: RunContext, plan: PrunePlan, *, part: str = "") -> Deleted:
    """Delete the objects of the plan whose keys begin with `part`, except those that a reader has pinned since the
    plan. Call it after `change_points`: a reader pins its point and then reads the log, so it either finds the new
    entries there or its pin is found here. Objects that a lock or a missing permission keeps are in the result, and a
    later prune deletes them. May be called again. Raises `InterruptedRunError` on `stop`, and
    `RefusedError` if the repository was frozen; then the other objects stay. Raises `PreconditionError` if the log
    does not say that this data is gone, because then a point can need it."""
    _require_written(context.repository.log(plan.set_name).state(), plan)
    pinned = needed_by_pins(context.repository.log(plan.set_name), now_ms=context.repository.now_ms())
    objects = plan.unnamed.objects
    sizes = {key: size for key, size in objects.items() if key.startswith(part) and key not in pinned}
    return _delete(context, plan.set_name, sizes)


def _require_written(state: SetState, plan: PrunePlan) -> None:
    """Raises `PreconditionError` if the log lacks an entry of the plan: a point of it can still come back, or its old
    data has not left the set. A plan that another process has made again can say more than the first one."""
    is_dropped = plan.old is None or any(drop.includes(plan.old.drop) for drop in state.drops)
    if not is_dropped or any(seq in state.expired or seq in state.points for seq in plan.remove):
        raise PreconditionError(
            f"{plan.set_name}: the set has changed during the prune. The next prune goes on with it."
        )


def delete_left_overs(context: RunContext, plan: PrunePlan) -> Deleted:
    """Delete what crashed processes have left beside the objects of runs. May be called again. Raises as
    `delete_unnamed`."""
    left = plan.left_overs
    done = _delete(context, plan.set_name, left.objects).plus(_delete_leases(context, plan))
    for batch in _batches(context, plan.set_name, list(left.unfinished)):
        context.repository.store.delete_unfinished(batch)
    files = Amount(len(left.unfinished), sum(left.unfinished.values()))
    return done.plus(Deleted({TEMPORARY_FILES: files} if files.objects else {}))


def _delete(context: RunContext, set_name: str, sizes: Mapping[str, int]) -> Deleted:
    done = Deleted()
    for batch in _batches(context, set_name, list(sizes)):
        done = done.plus(_delete_batch(context.repository.store, {key: sizes[key] for key in batch}))
    return done


def _delete_batch(store: ObjectStore, sizes: Mapping[str, int]) -> Deleted:
    """Delete these objects. Those that a lock or a missing permission keeps are in the result."""
    try:
        hidden = store.delete(sizes)
    except UndeletedError as error:
        return deleted_except(sizes, error)
    return Deleted(amounts(sizes), hidden)


def _delete_leases(context: RunContext, plan: PrunePlan) -> Deleted:
    """Delete each lease while this process holds it, so that nobody else does. Leaves one that somebody uses again."""
    done = Deleted()
    for key, size in plan.left_overs.leases.items():
        for _ in _batches(context, plan.set_name, [key]):
            with suppress(LockedError):
                acquire(context.repository.store, key, stop=context.stop, clock=context.clock)
                done = done.plus(_delete_batch(context.repository.store, {key: size}))
    return done


def _batches(context: RunContext, set_name: str, names: Sequence[str]) -> Iterator[Sequence[str]]:
    """The names that are deleted with one call. Raises before each call what `delete_unnamed` raises."""
    for first in range(0, len(names), BATCH_OBJECTS):
        if context.stop.is_set():
            raise InterruptedRunError("The prune was stopped. The next one goes on with it.")
        context.repository.require_not_frozen(set_name)
        yield names[first : first + BATCH_OBJECTS]


def unexpire(repository: Repository, set_name: str, seq: int) -> None:
    """Bring an expired point back. Raises `NotFoundError` if it has not expired, or cannot come back any more."""

    def build(state: SetState) -> AnyEntry:
        if seq not in state.expired:
            raise NotFoundError(
                f"{set_name}@{seq} is not an expired point that can be brought back. `kafka-backup prune` shows those."
            )
        return UnexpireEntry(**repository.next_change(set_name, state), points=(seq,))

    repository.log(set_name).append(build)
