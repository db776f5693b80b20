"""The plan of a prune: which points expire, which are removed, and what that frees. Its digest states exactly what
goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tasks.engine.options import RetentionPolicy, duration_ms
from tasks.engine.retention.deleted import TEMPORARY_FILES, Amount, add_amounts, amounts
from tasks.engine.retention.keep import kept_labels, kept_points
from tasks.engine.retention.left_overs import LeftOvers, find_left_overs
from tasks.engine.retention.named_objects import NamedObjects
from tasks.engine.retention.old_data import OldData, find_old_data
from tasks.engine.retention.plan_id import PlanId, PlanMoment
from tasks.engine.retention.unnamed_objects import Unnamed, find_unnamed
from tasks.model.errors import DamagedError
from tasks.repository.document import encode_json, sha256_hex
from tasks.repository.drops import Drop
from tasks.repository.repository import Repository
from tasks.repository.set_log import SetLog
from tasks.repository.set_state import SetState


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """What a prune does to a set, in this order: the points in `expire` expire; those in `remove`, whose grace is over,
    can never come back; the data in `old`, if any, leaves the set; the objects in `unnamed` and `left_overs` are
    deleted.

    `kept` are the points that stay, each with the reasons, newest first. `grace` are the points that have expired
    before and can still be brought back, each with the time at which this ends. `data_bytes` are the stored bytes of
    all data objects that live and expired points need before the prune. `frees_bytes` are the stored bytes of
    the data objects that only expiring and expired points name.
    """

    set_name: str
    policy: RetentionPolicy
    moment: PlanMoment
    kept: Mapping[int, tuple[str, ...]]
    expire: tuple[int, ...]
    remove: tuple[int, ...]
    grace: Mapping[int, int]
    old: OldData | None
    unnamed: Unnamed
    left_overs: LeftOvers
    data_bytes: int
    frees_bytes: int

    @property
    def id(self) -> str:
        """The id of the plan, as text: see `PlanId`."""
        return str(PlanId(self.moment, self.sha256))

    @property
    def sha256(self) -> str:
        """The SHA-256 of the points that expire, of those that are removed, of the data that is too old, and of the
        policy. Another plan with the same SHA-256 takes the same points and data away. Objects that no point names
        are not in it, because in a busy set new ones become old enough at any time."""
        goes = {
            "set": self.set_name,
            "policy": self.policy.model_dump(mode="json"),
            "expire": self.expire,
            "remove": self.remove,
        }
        if self.old is not None:
            goes |= {"drop": self.old.drop.to_json(), "objects": sorted(self.old.objects)}
        return sha256_hex(encode_json(goes))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (
            self.expire or self.remove or self.old or self.unnamed.objects or self.unnamed.dead_runs or self.left_overs
        )

    @property
    def deletes(self) -> dict[str, Amount]:
        """What is deleted, by kind."""
        left = self.left_overs
        objects = amounts({**self.unnamed.objects, **left.objects, **left.leases})
        files = Amount(len(left.unfinished), sum(left.unfinished.values()))
        return add_amounts(objects, {TEMPORARY_FILES: files} if files.objects else {})


def draft_prune(
    repository: Repository, set_name: str, policy: RetentionPolicy, *, now_ms: int, at_seq: int | None = None
) -> PrunePlan:
    """Plan a prune. Reads the log, index objects, plans and listings, and writes nothing.

    `now_ms` and `at_seq` are the plan's moment; None means the newest entry. Points and expiries after it are not
    touched by the plan, so the plan of an earlier moment is the same as it was then, unless somebody has changed the
    points that it is about. If another prune removes points meanwhile, the plan is made again, because the objects of
    these points disappear. Raises `DamagedError` if it is not known what the points name.
    """
    log = repository.log(set_name)
    while True:
        state = log.state()  # before the listing of objects: a run that begins later is not closed in this state
        try:
            return _draft(repository, log, state, policy, now_ms=now_ms, at_seq=at_seq)
        except DamagedError:
            if not _was_pruned(log, state):
                raise


def _was_pruned(log: SetLog, state: SetState) -> bool:
    """Whether points of this state were removed since."""
    now = log.state()
    return not {*state.points, *state.expired} <= {*now.points, *now.expired}


def _draft(
    repository: Repository, log: SetLog, state: SetState, policy: RetentionPolicy, *, now_ms: int, at_seq: int | None
) -> PrunePlan:
    set_name, names = log.set_name, NamedObjects(log)
    moment = PlanMoment(state.seq if at_seq is None else at_seq, now_ms)
    points = {seq: point for seq, point in state.points.items() if seq <= moment.seq}
    kept = kept_points(points, policy, state.holds.values(), now_ms)
    kept |= _young_by_store(log, policy, [seq for seq in points if seq not in kept], now_ms)
    expire = tuple(seq for seq in points if seq not in kept)
    kept = dict.fromkeys(sorted(state.points.keys() - points, reverse=True), ("newer than the plan",)) | kept
    ends = _ends_of_grace(log, state, duration_ms(policy.grace))
    remove = tuple(
        seq
        for seq, end_ms in ends.items()
        if end_ms <= now_ms and state.expired[seq].expired_by <= moment.seq and protection(state, seq, policy) is None
    )
    old = find_old_data(names, state, policy, moment)
    drops = (*state.drops, old.drop) if old is not None else state.drops
    grace_ms = duration_ms(policy.grace)
    return PrunePlan(
        set_name=set_name,
        policy=policy,
        moment=moment,
        kept=kept,
        expire=expire,
        remove=remove,
        grace={seq: end_ms for seq, end_ms in ends.items() if seq not in remove},
        old=old,
        unnamed=find_unnamed(names, state, drops=drops, removed=remove, grace_ms=grace_ms, now_ms=now_ms),
        left_overs=find_left_overs(repository.store, set_name, grace_ms=grace_ms, now_ms=now_ms),
        data_bytes=sum(names.data_of([*state.points, *state.expired], state.drops).values()),
        frees_bytes=_freed_bytes(names, kept, [*expire, *ends], drops),
    )


def protection(state: SetState, seq: int, policy: RetentionPolicy) -> str | None:
    """Why a point neither expires nor is removed, whatever its age: a hold, or a label that the policy keeps. None if
    there is no such reason."""
    if state.is_held(seq):
        return "a hold"
    point = state.summary(seq)
    labels = kept_labels(point, policy) if point is not None else ()
    return f"the label {labels[0]}" if labels else None


def _ends_of_grace(log: SetLog, state: SetState, grace_ms: int) -> dict[int, int]:
    """The time at which each expired point can be removed. It is counted by the store's clock, because the clock of the
    machine that wrote the entry can be wrong."""
    since = {seq: log.stored_ms(seq) for seq in {one.expired_by for one in state.expired.values()}}
    return {seq: since[one.expired_by] + grace_ms for seq, one in state.expired.items()}


def _young_by_store(
    log: SetLog, policy: RetentionPolicy, seqs: Collection[int], now_ms: int
) -> dict[int, tuple[str, ...]]:
    """The points that are younger than `minimum_age` by the store's clock. The writer's clock can have been behind."""
    if policy.minimum_age is None:
        return {}
    oldest_ms = now_ms - duration_ms(policy.minimum_age)
    young = [seq for seq in seqs if log.stored_ms(seq) > oldest_ms]
    return dict.fromkeys(young, (f"younger than {policy.minimum_age} by the store's clock",))


def _freed_bytes(names: NamedObjects, kept: Collection[int], going: Collection[int], drops: Sequence[Drop]) -> int:
    stays = names.data_of(kept, drops)
    return sum(size for key, size in names.data_of(going, drops).items() if key not in stays)
