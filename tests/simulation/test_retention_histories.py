"""Random histories of backups, consolidations, holds, freezes and prunes, with crashes and clocks that jump: what the
policy and the holds keep restores in full, while the repository is frozen nothing disappears, and after the grace every
object that is left is one that a point names."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tasks.engine.consolidate import consolidate_locally
from tasks.engine.freeze import freeze_repository, thaw_repository
from tasks.engine.holds import add_hold, release_hold
from tasks.engine.options import RetentionPolicy, duration_ms
from tasks.engine.prune import change_points, prune_locally, unexpire
from tasks.engine.retention.prune_plan import PrunePlan, draft_prune
from tasks.engine.source.snapshot_plan import plan_snapshot
from tasks.model.errors import PreconditionError, RefusedError
from tasks.repository.pins import pinned
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.rules.small_world import DAY_MS, HOUR_MS, SET, SmallWorld
from tests.support.faults import Crashed, FaultyStore

POLICIES = (
    RetentionPolicy(keep_last=2, grace="12h"),
    RetentionPolicy(keep_daily=2, keep_weekly=1, minimum_points=3, grace="6h"),
    RetentionPolicy(keep_within="36h", minimum_age="20h", grace="24h"),
)


class History:
    """A world, and what is known about its points from outside: the contents of the topic when each was made."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = SmallWorld()
        self.plain = MemoryStore("history", now_ms=self.world.clock.now_ms)
        self.world.store = self.plain
        self.world.topic(records=3)
        self.policy = self.chance.choice(POLICIES)
        self.contents: dict[int, list[object]] = {}
        self.holds: dict[str, int | None] = {}
        self.frozen: set[str] | None = None
        """While the repository is frozen, the keys that it had at that time or later. None while it is not."""
        self.frozen_after = 0
        self.backed_up(self.world.back_up)

    def backed_up(self, back_up: Callable[[], object]) -> None:
        """Make a point, and remember what it has to restore."""
        self.world.send(records=self.chance.randint(0, 4))
        back_up()
        self.contents[self.world.point().seq] = list(self.world.contents("orders", cluster=self.world.source))

    def step(self) -> None:
        """One random step."""
        steps: tuple[tuple[Callable[[], None], int], ...] = (
            (lambda: self.backed_up(self.world.back_up), 3),
            (lambda: self.backed_up(self.world.back_up_changes), 6),
            (self.consolidate, 2),
            (self.prune, 6),
            (self.crashed_prune, 3),
            (self.pruned_beside_a_reader, 1),
            (self.hold_or_release, 2),
            (self.bring_back, 1),
            (self.dead_run, 1),
            (self.freeze_or_thaw, 2),
        )
        self.chance.choices([step for step, _ in steps], [weight for _, weight in steps])[0]()
        self.check_frozen()
        self.world.clock.advance(self.chance.choice([1000, HOUR_MS, 7 * HOUR_MS, DAY_MS]))

    def consolidate(self) -> None:
        """A consolidation, whose point restores the same."""
        newest = self.world.point().seq
        if consolidate_locally(self.world.context(self.world.source), SET, workers=1) is not None:
            self.contents[self.world.point().seq] = self.contents[newest]

    def prune(self) -> None:
        """A prune by the policy, and a look at what it did."""
        before = self.world.repository.state(SET)
        if self.frozen is not None:
            self.refused_prune()
            return
        done = prune_locally(self.world.context(self.world.source), SET, self.policy)
        self.check_plan(done.plan)
        assert {*before.points} - {*done.plan.expire} <= {*self.world.repository.state(SET).points}

    def crashed_prune(self) -> None:
        """A prune that crashes before or after one of its writes."""
        self.world.store = faulty = FaultyStore(self.plain)
        faulty.crash_at(self.chance.randint(1, 6), after=self.chance.random() < 0.5)
        with suppress(Crashed, *([] if self.frozen is None else [RefusedError])):
            prune_locally(self.world.context(self.world.source), SET, self.policy)
        self.world.store = self.plain

    def pruned_beside_a_reader(self) -> None:
        """A reader has pinned a point, and prunes run until every grace is over. The point stays readable."""
        seq = self.chance.choice(sorted(self.world.repository.state(SET).points))
        point = self.world.point(seq)
        with pinned(self.plain, SET, seq, purpose="restore", now_ms=lambda: self.world.clock.now_ms() + 9 * DAY_MS):
            for _ in range(2):
                self.prune()
                self.world.clock.advance(DAY_MS)
            lines = point.lines(point.rows.values())
            assert all(self.plain.head(line.object) for source in lines for line in lines[source] if line.object)

    def hold_or_release(self) -> None:
        """Set a hold on a point or on the set, or release one."""
        repository, state = self.world.repository, self.world.repository.state(SET)
        if self.holds and self.chance.random() < 0.6:
            name, held = self.holds.popitem()
            if self.frozen is not None:
                with pytest.raises(RefusedError):
                    release_hold(repository, SET, name, reason="over", by="test")
                self.holds[name] = held
                return
            release_hold(repository, SET, name, reason="over", by="test")
            return
        name = f"hold-{len(self.holds)}"
        seq = self.chance.choice([None, *state.points, *state.expired])
        add_hold(repository, SET, name, None if seq is None else [seq], reason="case", by="test")
        self.holds[name] = seq

    def bring_back(self) -> None:
        """Bring an expired point back."""
        expired = sorted(self.world.repository.state(SET).expired)
        if expired:
            unexpire(self.world.repository, SET, self.chance.choice(expired))

    def dead_run(self) -> None:
        """A run that plans and dies."""
        plan_snapshot(self.world.context(self.world.source), self.world.request())

    def freeze_or_thaw(self) -> None:
        """Freeze the repository, with a crash or between the plan and the entries of a prune, or thaw it."""
        if self.frozen is not None:
            thaw_repository(self.world.repository, reason="over", by="test")
            self.frozen = None
            return
        plan = draft_prune(self.world.repository, SET, self.policy, now_ms=self.world.clock.now_ms())
        seq = self.world.repository.state(SET).seq
        self.world.store = faulty = FaultyStore(self.plain)
        faulty.crash_at(self.chance.randint(2, 4), after=self.chance.random() < 0.5)
        with suppress(Crashed):
            freeze_repository(self.world.context(self.world.source), reason="incident", by="test")
        self.world.store = self.plain
        self.frozen = set(self.kept_keys())
        self.frozen_after = seq
        if not plan.is_empty:
            with pytest.raises(RefusedError):
                change_points(self.world.repository, plan)

    def refused_prune(self) -> None:
        """A prune of the frozen repository. It is refused unless it has nothing to do."""
        context, seq = self.world.context(self.world.source), self.world.repository.state(SET).seq
        if draft_prune(self.world.repository, SET, self.policy, now_ms=self.world.clock.now_ms()).is_empty:
            prune_locally(context, SET, self.policy)
        else:
            with pytest.raises(RefusedError):
                prune_locally(context, SET, self.policy)
        assert seq == self.world.repository.state(SET).seq

    def kept_keys(self) -> Iterator[str]:
        """The keys of everything that a freeze protects."""
        for folder in ("data/", "fragments/", "meta/", "heads/", "repository.json"):
            yield from (info.key for info in self.plain.list(folder))

    def check_frozen(self) -> None:
        """While the repository is frozen, no object disappears, and no entry takes anything away."""
        if self.frozen is None:
            return
        keys = set(self.kept_keys())
        assert self.frozen <= keys
        self.frozen = keys
        since = {entry.kind for entry in self.world.repository.log(SET).entries() if entry.seq > self.frozen_after}
        assert not {"expire", "remove", "release"} & since

    def check_plan(self, plan: PrunePlan) -> None:
        """The laws of a plan: the minimum stays, held and young points stay, and nothing else is said to."""
        held = {seq for seq in self.holds.values() if seq is not None}
        gone = {*plan.expire, *plan.remove}
        assert len(plan.kept) >= min(self.policy.minimum_points, len(plan.kept) + len(plan.expire))
        assert not gone & held
        assert not gone or None not in self.holds.values()
        assert self.world.repository.state(SET).newest_point in plan.kept

    def check_points(self) -> None:
        """Every live point restores what it has to."""
        for seq in self.world.repository.state(SET).points:
            target = f"copy-{seq}-{self.world.clock.now_ms()}"
            assert [] == list(self.world.restore({"orders": target}, seq=seq).mismatches)
            assert self.contents[seq] == list(self.world.contents(target)), f"{SET}@{seq}"
        self.world.assert_valid()

    def check_end(self) -> None:
        """When all holds are released and the graces are over, every object that is left is one that a point names."""
        if self.frozen is not None:
            self.freeze_or_thaw()
        for name in self.holds:
            release_hold(self.world.repository, SET, name, reason="over", by="test")
        self.holds.clear()
        for _ in range(4):
            self.world.clock.advance(duration_ms(self.policy.grace) + DAY_MS)
            with suppress(PreconditionError):
                self.prune()
        plan = draft_prune(self.world.repository, SET, self.policy, now_ms=self.world.clock.now_ms())
        assert (0, {}, ()) == (plan.unnamed.waiting_bytes, plan.unnamed.objects, plan.unnamed.dead_runs)
        assert not self.world.repository.state(SET).expired
        self.check_points()


@pytest.mark.parametrize("seed", [*range(12), *[pytest.param(n, marks=pytest.mark.exhaustive) for n in range(12, 60)]])
def test_what_the_policy_keeps_restores_and_nothing_else_is_left(seed: int) -> None:
    history = History(seed)
    for number in range(30):
        history.step()
        if number % 10 == 9:
            history.check_points()
    history.check_end()
