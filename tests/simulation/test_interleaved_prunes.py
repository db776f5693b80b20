"""Prunes beside prunes, backups, consolidations, restores, validations, holds and unexpiries, which change places at
random at every call of the store, with crashes and time that passes: nothing that the policy or a hold keeps is lost, a
reader that has begun reads everything, and no program reports a success for what is not there.

A failing round is repeated by its seed. `Turns.calls` has the order of the calls.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property

import pytest

import tasks.engine.validate
from tasks.engine.consolidate import consolidate_locally
from tasks.engine.holds import add_hold, release_hold
from tasks.engine.options import RetentionPolicy, duration_ms
from tasks.engine.prune import Pruned, prune_locally, unexpire
from tasks.engine.retention.prune_plan import draft_prune
from tasks.engine.target import preflight
from tasks.engine.validate import validate_locally
from tasks.model.errors import InterruptedRunError, LockedError, NotFoundError, PreconditionError, RunClosedError
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.rules.small_world import DAY_MS, HOUR_MS, SET, SmallWorld
from tests.support.faults import Crashed, FaultyStore
from tests.support.turns import Turns, TurnStore

POLICIES = (
    RetentionPolicy(keep_last=1, grace="1s"),
    RetentionPolicy(keep_last=2, grace="1s"),
    RetentionPolicy(keep_within="20h", grace="1s"),
    RetentionPolicy(keep_last=2, grace="1h"),
    RetentionPolicy(keep_last=2, minimum_points=3, grace="30m"),
    RetentionPolicy(keep_within="36h", minimum_age="20h", grace="1h"),
    RetentionPolicy(keep_last=3, maximum_age="2d", grace="1h"),
    RetentionPolicy(keep_daily=10, maximum_age="36h", grace="30m"),
)
_LONGEST_ROUND_MS = 50 * 60_000
"""Pins are renewed at real times, so no round may take an hour."""


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """An actor has one thread at a time."""
    monkeypatch.setattr(preflight, "_REQUESTS_AT_ONCE", 1)


@dataclass
class Expected:
    """The records that a point had when it was made, and when each of them was read."""

    records: list[object]
    captured_ms: list[int]

    def check(self, restored: list[object], *, allowed_ms: int) -> None:
        """The newest records are there. Only such are missing as were read before `allowed_ms`."""
        missing = len(self.records) - len(restored)
        assert restored == self.records[missing:]
        assert all(time_ms < allowed_ms for time_ms in self.captured_ms[:missing])


@dataclass
class Actor:
    """A program that runs in a round. `refusals` are the errors with which it is allowed to end. `succeeded` is called
    after the round if it has ended without an error."""

    act: Callable[[SmallWorld], object]
    refusals: tuple[type[BaseException], ...]
    succeeded: Callable[[object], None] = lambda result: None
    can_crash: bool = True


@dataclass
class Round:
    """A set with some history, and what is known about it from outside."""

    seed: int
    held: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.world = SmallWorld()
        self.plain = MemoryStore("interleaved", now_ms=self.world.clock.now_ms)
        self.world.store = self.plain
        self.policy = self.chance.choice(POLICIES)
        self.contents: dict[int, Expected] = {}
        self.spent_ms = 0
        self.allowed_ms = 0
        self.copies = 0
        self.turns = Turns(self.chance, constancy=self.chance.choice([0.0, 0.5, 0.8, 0.95]), between=self.let_time_pass)
        self.world.topic(records=3)
        self.back_up(self.world.back_up)
        for _ in range(self.chance.randint(2, 6)):
            self.world.clock.advance(self.chance.choice([HOUR_MS, DAY_MS]))
            self.world.send(records=self.chance.randint(0, 4))
            self.back_up(
                self.chance.choice([self.world.back_up, self.world.back_up_changes, self.world.back_up_changes])
            )
        for _ in range(self.chance.randint(0, 1)):
            prune_locally(self.world.context(self.world.source), SET, self.policy)
            self.note_drop()
            self.world.clock.advance(self.chance.choice([1000, HOUR_MS, DAY_MS]))
        self.world.send(records=self.chance.randint(0, 4))

    # ── what is known ───────────────────────────────────────────────────────────────────────────────────────────────

    def records(self) -> list[object]:
        """The records of the source now."""
        return list(self.world.contents("orders", cluster=self.world.source))

    def back_up(self, run: Callable[[], object]) -> None:
        """A backup that nothing disturbs."""
        began_ms = self.world.clock.now_ms()
        run()
        self.note_points(began_ms)

    def note_points(self, began_ms: int) -> None:
        """What the points have to restore that were made since `began_ms`. Records that an earlier point has were read
        by then, unless the point is a snapshot."""
        log = self.repository().log(SET)
        for seq in sorted(log.state().points.keys() - self.contents.keys()):
            records, known = self.records(), [self.contents[one].captured_ms for one in self.contents if one < seq]
            is_snapshot = log.point(seq).entry.point_kind == "snapshot"
            older: list[int] = [] if is_snapshot else max(known, key=len, default=[])
            self.contents[seq] = Expected(records, [*older, *[began_ms] * (len(records) - len(older))])

    def repository(self) -> Repository:
        """The repository, as a new process opens it, without turns and faults."""
        return Repository.open_or_create(self.plain, self.world.clock.now_ms)

    def note_drop(self) -> None:
        """A prune could take what is older than `maximum_age`."""
        if self.policy.maximum_age is not None:
            self.allowed_ms = self.world.clock.now_ms() - duration_ms(self.policy.maximum_age)

    def let_time_pass(self) -> None:
        """At some calls, seconds or minutes pass."""
        if self.chance.random() < 0.05:
            step_ms = self.chance.choice([500, 5_000, 60_000, 600_000])
            if self.spent_ms + step_ms < _LONGEST_ROUND_MS:
                self.spent_ms += step_ms
                self.world.clock.advance(step_ms)

    # ── the actors ──────────────────────────────────────────────────────────────────────────────────────────────────

    def pruner(self) -> Actor:
        """Some prunes by the policy, one after the other. A grace of a second is over at the next of them."""
        times = self.chance.randint(1, 3)

        def run(world: SmallWorld) -> Pruned:
            for _ in range(times - 1):
                prune_locally(world.context(world.source), SET, self.policy)
                self.spent_ms += 1000
                world.clock.advance(1000)
            return prune_locally(world.context(world.source), SET, self.policy)

        def succeeded(result: object) -> None:
            assert isinstance(result, Pruned)
            kept = {*result.plan.kept, *result.in_use}
            assert self.policy.minimum_points <= len(kept)
            assert not self.held & {*result.plan.expire} - {*result.in_use} - {*self.repository().state(SET).expired}

        return Actor(
            run,
            (LockedError, PreconditionError, InterruptedRunError),
            succeeded,
        )

    def writer(self) -> Actor:
        """A snapshot, an incremental run or a consolidation."""
        kinds: tuple[Callable[[SmallWorld], object], ...] = (
            lambda world: world.back_up(),
            lambda world: world.back_up_changes(),
            lambda world: consolidate_locally(world.context(world.source), SET, workers=1),
        )
        return Actor(self.chance.choice(kinds), (LockedError, PreconditionError, InterruptedRunError, RunClosedError))

    def reader(self) -> Actor:
        """A restore of a live point. It either finds that the point is gone, or restores all of it."""
        seq, self.copies = self.live_point(), self.copies + 1
        target = f"copy-{self.copies}"

        def succeeded(result: object) -> None:
            self.contents[seq].check(list(self.world.contents(target)), allowed_ms=self.allowed_ms)

        def restore(world: SmallWorld) -> None:
            assert [] == list(world.restore({"orders": target}, seq=seq).mismatches)

        return Actor(restore, (NotFoundError,), succeeded)

    def validator(self) -> Actor:
        """A validation in full of a live point. It finds no damage."""
        seq = self.live_point()

        def validate(world: SmallWorld) -> None:
            reference = PointReference(SET, seq=seq)
            assert () == validate_locally(world.context(world.source), reference, level="full").findings

        return Actor(validate, (NotFoundError,))

    def holder(self) -> Actor:
        """A hold on a point that lives or has expired."""
        state = self.repository().state(SET)
        seq = self.chance.choice([*state.points, *state.expired])

        def succeeded(result: object) -> None:
            self.held.add(seq)

        return Actor(
            lambda world: add_hold(world.repository, SET, f"hold-{seq}", [seq], reason="case", by="test"),
            (NotFoundError, PreconditionError),
            succeeded,
            can_crash=False,
        )

    def rescuer(self) -> Actor:
        """An expired point comes back, if there is one. A prune can let it expire again."""
        expired = sorted(self.repository().state(SET).expired) or [self.live_point()]
        seq = self.chance.choice(expired)

        def succeeded(result: object) -> None:
            state = self.repository().state(SET)
            assert seq in {*state.points, *state.expired} or duration_ms(self.policy.grace) <= self.spent_ms

        return Actor(lambda world: unexpire(world.repository, SET, seq), (NotFoundError,), succeeded)

    def live_point(self) -> int:
        """One of the live points, often the oldest, which expires first."""
        points = sorted(self.repository().state(SET).points)
        return points[0] if self.chance.random() < 0.5 else self.chance.choice(points)

    # ── the round ───────────────────────────────────────────────────────────────────────────────────────────────────

    def play(self, makers: Mapping[str, Callable[[], Actor]]) -> None:
        """Let the actors run, each as a process of its own, and check the laws."""
        actors = {name: make() for name, make in makers.items()}
        began_ms = self.world.clock.now_ms()
        crashing = self.chance.choice(sorted(actors)) if self.chance.random() < 0.3 else None
        steps = {name: self.process(actor, crashes=name == crashing) for name, actor in actors.items()}
        results = self.turns.run(steps)
        self.world.store = self.plain
        self.note_points(began_ms)
        self.note_drop()
        for name, actor in actors.items():
            result = results[name]
            if isinstance(result, BaseException):
                if not isinstance(result, (*actor.refusals, Crashed)):
                    raise result
            else:
                actor.succeeded(result)
        self.check_points()

    def process(self, actor: Actor, *, crashes: bool) -> Callable[[], object]:
        """A process with a connection of its own to the store. One that crashes ends at one of its first writes."""
        world = copy(self.world)
        world.store = store = FaultyStore(TurnStore(self.plain, self.turns))
        if crashes and actor.can_crash:
            store.crash_at(self.chance.randint(1, 8), after=self.chance.random() < 0.5)
        return lambda: actor.act(world)

    def check_points(self) -> None:
        """The newest point lives, every live point restores what it has to, and so does every held one."""
        state = self.repository().state(SET)
        assert state.newest_point in state.points
        assert self.held <= {*state.points, *state.expired}
        for seq in state.points:
            self.copies += 1
            target = f"copy-{self.copies}"
            assert [] == list(self.world.restore({"orders": target}, seq=seq).mismatches)
            self.contents[seq].check(list(self.world.contents(target)), allowed_ms=self.allowed_ms)

    def check_end(self) -> None:
        """Prunes that nothing disturbs go on, whatever the round has left. Held points can come back from them, and
        after the graces every object that is left is one that a point names."""
        for _ in range(3):
            self.world.clock.advance(duration_ms(self.policy.grace) + DAY_MS)
            prune_locally(self.world.context(self.world.source), SET, self.policy)
        self.note_drop()
        for seq in self.held & self.repository().state(SET).expired.keys():
            unexpire(self.repository(), SET, seq)
        self.check_points()
        for seq in self.held:
            release_hold(self.repository(), SET, f"hold-{seq}", reason="over", by="test")
        self.held.clear()
        for _ in range(4):
            self.world.clock.advance(duration_ms(self.policy.grace) + DAY_MS)
            prune_locally(self.world.context(self.world.source), SET, self.policy)
        self.note_drop()
        plan = draft_prune(self.repository(), SET, self.policy, now_ms=self.world.clock.now_ms())
        assert (0, {}, ()) == (plan.unnamed.waiting_bytes, plan.unnamed.objects, plan.unnamed.dead_runs)
        self.check_points()


ROUNDS: Mapping[str, tuple[str, ...]] = {
    "two-prunes": ("pruner", "pruner"),
    "prune-and-writer": ("pruner", "writer"),
    "prune-and-reader": ("pruner", "reader"),
    "prunes-writer-and-reader": ("pruner", "pruner", "writer", "reader"),
    "prunes-and-people": ("pruner", "pruner", "holder", "rescuer"),
    "everybody": ("pruner", "pruner", "writer", "writer", "reader", "validator", "holder", "rescuer"),
}
"""The actors of each kind of round."""

FAST_SEEDS = 12


@pytest.fixture(autouse=True)
def _one_thread_for_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A validation has several threads usually. `cached_property` of Python 3.11 has one lock for all instances of a
    class, which processes do not share."""
    monkeypatch.setattr(tasks.engine.validate, "WORKERS", 1)
    for cached in (value for value in vars(RestorePoint).values() if isinstance(value, cached_property)):
        monkeypatch.setattr(cached, "lock", nullcontext(), raising=False)


@pytest.mark.parametrize(
    "seed", [*range(FAST_SEEDS), *[pytest.param(n, marks=pytest.mark.exhaustive) for n in range(FAST_SEEDS, 200)]]
)
@pytest.mark.parametrize("kind", ROUNDS)
def test_no_order_of_the_calls_of_several_programs_loses_what_the_policy_or_a_hold_keeps(kind: str, seed: int) -> None:
    played = Round(seed)
    made = {f"{name}-{number}": getattr(played, name) for number, name in enumerate(ROUNDS[kind])}
    played.play(made)
    played.check_end()
