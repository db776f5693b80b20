"""Random histories of backups, consolidations, labels, marks, holds, freezes and prunes, with crashes and clocks that
jump: what the policy and the holds keep restores in full, a point with a kept label never goes, the offsets of a mark
stay as long as the mark, while the repository is frozen nothing disappears, and after the grace every object that is
left is one that a point or a mark names."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from tasks.engine.consolidate import consolidate_locally
from tasks.engine.freeze import freeze_repository, thaw_repository
from tasks.engine.holds import add_hold, release_hold
from tasks.engine.labels import change_labels
from tasks.engine.marks import remove_mark, set_mark
from tasks.engine.options import BackupOptions, RetentionPolicy, TopicSelection, duration_ms
from tasks.engine.prune import change_points, prune_locally, unexpire
from tasks.engine.retention.prune_plan import PrunePlan, draft_prune
from tasks.engine.source.snapshot_plan import plan_snapshot
from tasks.model.errors import PreconditionError, RefusedError
from tasks.repository.marks import MarkedOffsets, read_mark
from tasks.repository.pins import pinned
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.rules.small_world import DAY_MS, HOUR_MS, SET, SmallWorld
from tests.support.faults import Crashed, FaultyStore

POLICIES = (
    RetentionPolicy(keep_last=2, grace="12h"),
    RetentionPolicy(keep_daily=2, keep_weekly=1, minimum_points=3, grace="6h"),
    RetentionPolicy(keep_within="36h", minimum_age="20h", grace="24h"),
    RetentionPolicy(keep_last=4, maximum_age="2d", grace="12h"),
    RetentionPolicy(keep_daily=10, minimum_age="20h", maximum_age="36h", grace="6h"),
    RetentionPolicy(keep_last=1, keep_tag=("kept", "env=prod"), grace="12h"),
)

LABELS: tuple[dict[str, str], ...] = (
    {"kept": "1"},
    {"kept": "2", "env": "test"},
    {"env": "prod"},
    {"env": "test"},
    {},
    {},
)
"""The policy with `keep_tag` keeps points with one of the first three."""


@dataclass
class Expected:
    """What a point has to restore. `records` are those that it had when it was made, and `captured_ms` says for each
    when it was read.

    Records that were read before `allowed_ms` can be gone, because a prune was able to take them. Those that were read
    before `certain_ms` have to be gone, because a prune was carried out. A hold protects the newest `whole` records.
    """

    records: list[object]
    captured_ms: list[int]
    is_copied: bool = False
    allowed_ms: int = 0
    certain_ms: int = 0
    whole: int = 0

    def check(self, restored: list[object]) -> None:
        """The newest records are there, without a hole, and the right ones are missing."""
        missing = len(self.records) - len(restored)
        assert restored == self.records[missing:]
        assert len(restored) >= self.whole
        assert all(time_ms < self.allowed_ms for time_ms in self.captured_ms[:missing])
        if not self.whole and not self.is_copied:
            assert all(time_ms >= self.certain_ms for time_ms in self.captured_ms[missing:])


class History:
    """A world, and what is known about its points from outside: the contents of the topic when each was made."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = SmallWorld()
        self.plain = MemoryStore("history", now_ms=self.world.clock.now_ms)
        self.world.store = self.plain
        self.world.topic(records=3)
        self.policy = self.chance.choice(POLICIES)
        self.contents: dict[int, Expected] = {}
        self.labels: dict[int, dict[str, str]] = {}
        self.marks: dict[str, int] = {}
        """For each mark that exists the end of the topic's partition when it was set."""
        self.holds: dict[str, int | None] = {}
        self.allowed_ms = 0
        self.frozen: set[str] | None = None
        """While the repository is frozen, the keys that it had at that time or later. None while it is not."""
        self.frozen_after = 0
        self.snapshot()

    def snapshot(self) -> None:
        """A snapshot, which reads everything again."""
        self.world.send(records=self.chance.randint(0, 4))
        records, now_ms = self.source_records(), self.world.clock.now_ms()
        labels = self.chance.choice(LABELS)
        self.world.back_up(labels=labels)
        self.labels[self.world.point().seq] = dict(labels)
        self.contents[self.world.point().seq] = Expected(records, [now_ms] * len(records))

    def changes(self) -> None:
        """An incremental run, which reads what is new."""
        before = self.contents[self.world.point().seq]
        self.world.send(records=self.chance.randint(0, 4))
        records, now_ms = self.source_records(), self.world.clock.now_ms()
        labels = self.chance.choice(LABELS)
        self.world.back_up_changes(labels=labels)
        self.labels[self.world.point().seq] = dict(labels)
        times = [*before.captured_ms, *[now_ms] * (len(records) - len(before.records))]
        self.contents[self.world.point().seq] = self.following(before, records, times, is_copied=before.is_copied)

    def following(
        self, before: Expected, records: list[object], captured_ms: list[int], *, is_copied: bool
    ) -> Expected:
        """What a point has to restore that continues another one. A hold on that one does not protect it."""
        return Expected(records, captured_ms, is_copied, max(before.allowed_ms, self.allowed_ms), before.certain_ms)

    def source_records(self) -> list[object]:
        """The records of the source now."""
        return list(self.world.contents("orders", cluster=self.world.source))

    def step(self) -> None:
        """One random step."""
        steps: tuple[tuple[Callable[[], None], int], ...] = (
            (self.snapshot, 3),
            (self.changes, 6),
            (self.consolidate, 2),
            (self.prune, 6),
            (self.crashed_prune, 3),
            (self.pruned_beside_a_reader, 1),
            (self.hold_or_release, 2),
            (self.bring_back, 1),
            (self.dead_run, 1),
            (self.freeze_or_thaw, 2),
            (self.label, 3),
            (self.label_between_plan_and_prune, 1),
            (self.mark, 2),
            (self.crashed_mark, 1),
            (self.unmark, 1),
        )
        self.chance.choices([step for step, _ in steps], [weight for _, weight in steps])[0]()
        self.check_frozen()
        self.check_labels_and_marks()
        self.world.clock.advance(self.chance.choice([1000, HOUR_MS, 7 * HOUR_MS, DAY_MS]))

    def consolidate(self) -> None:
        """A consolidation, whose point restores the same."""
        newest = self.world.point().seq
        if consolidate_locally(self.world.context(self.world.source), SET, workers=1) is not None:
            before = self.contents[newest]
            times = before.captured_ms
            self.contents[self.world.point().seq] = self.following(before, before.records, times, is_copied=True)
            self.labels[self.world.point().seq] = {}

    def prune(self) -> None:
        """A prune by the policy, and a look at what it did."""
        before = self.world.repository.state(SET)
        if self.frozen is not None:
            self.refused_prune()
            return
        began_ms = self.world.clock.now_ms()
        done = prune_locally(self.world.context(self.world.source), SET, self.policy)
        self.note_drop(certain_at_ms=began_ms)
        self.check_plan(done.plan)
        assert {*before.points} - {*done.plan.expire} <= {*self.world.repository.state(SET).points}

    def note_drop(self, *, certain_at_ms: int | None = None) -> None:
        """A prune could take what is older than `maximum_age`, from the points that are not held. If it was carried
        out, it did so at `certain_at_ms`."""
        if self.policy.maximum_age is None or None in self.holds.values():
            return
        age_ms = duration_ms(self.policy.maximum_age)
        self.allowed_ms = self.world.clock.now_ms() - age_ms
        for seq, expected in self.contents.items():
            if seq not in self.holds.values():
                expected.allowed_ms = self.allowed_ms
                expected.certain_ms = max(expected.certain_ms, (certain_at_ms or 0) - age_ms)

    def crashed_prune(self) -> None:
        """A prune that crashes before or after one of its writes."""
        self.world.store = faulty = FaultyStore(self.plain)
        faulty.crash_at(self.chance.randint(1, 6), after=self.chance.random() < 0.5)
        with suppress(Crashed, *([] if self.frozen is None else [RefusedError])):
            prune_locally(self.world.context(self.world.source), SET, self.policy)
        if self.frozen is None:
            self.note_drop()
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
            name, seq = self.holds.popitem()
            if self.frozen is not None:
                with pytest.raises(RefusedError):
                    release_hold(repository, SET, name, reason="over", by="test")
                self.holds[name] = seq
                return
            release_hold(repository, SET, name, reason="over", by="test")
            if seq is not None and seq not in self.holds.values():
                self.contents[seq].whole = 0
            return
        name = f"hold-{len(self.holds)}"
        seq = self.chance.choice([None, *state.points, *state.expired])
        add_hold(repository, SET, name, None if seq is None else [seq], reason="case", by="test")
        self.holds[name] = seq
        if seq is not None:
            point = repository.log(SET).point(seq)
            lines = point.lines(point.rows.values())
            self.contents[seq].whole = sum(line.records for own in lines.values() for line in own)

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

    def label(self) -> None:
        """Change the labels of a live or expired point. Of a frozen repository none is taken away."""
        state = self.world.repository.state(SET)
        seq = self.chance.choice([*state.points, *state.expired])
        labels, removed = (
            self.chance.choice(LABELS),
            self.chance.sample([*self.labels[seq]], k=min(1, len(self.labels[seq]))),
        )
        removed = [key for key in removed if key not in labels]
        after = {**{key: value for key, value in self.labels[seq].items() if key not in removed}, **labels}
        if not labels and not removed:
            return
        if self.frozen is not None and not self.labels[seq].items() <= after.items():
            with pytest.raises(RefusedError):
                change_labels(self.world.repository, SET, seq, labels, removed)
            return
        assert after == change_labels(self.world.repository, SET, seq, labels, removed)
        self.labels[seq] = after

    def label_between_plan_and_prune(self) -> None:
        """A point that is about to go gets a label that the policy keeps: the plan is not carried out."""
        plan = draft_prune(self.world.repository, SET, self.policy, now_ms=self.world.clock.now_ms())
        gone = [*plan.expire, *plan.remove]
        if not gone or self.policy.keep_tag is None or self.frozen is not None:
            return
        seq = self.chance.choice(gone)
        self.labels[seq] = change_labels(self.world.repository, SET, seq, {"kept": "late"}, [])
        with pytest.raises(PreconditionError):
            change_points(self.world.repository, plan)

    def mark(self) -> None:
        """Set a mark."""
        name, end = f"mark-{self.world.repository.state(SET).seq}", self.world.source.log(("orders", 0)).end
        context = self.world.context(self.world.source)
        set_mark(context, SET, name, topics=TopicSelection(), options=BackupOptions())
        self.marks[name] = end

    def crashed_mark(self) -> None:
        """A mark whose process dies. It exists if its entry does."""
        self.world.store = faulty = FaultyStore(self.plain)
        faulty.crash_at(self.chance.randint(1, 3), after=self.chance.random() < 0.5)
        with suppress(Crashed):
            self.mark()
        self.world.store = self.plain
        for name in self.world.repository.state(SET).marks.keys() - self.marks.keys():
            self.marks[name] = self.world.source.log(("orders", 0)).end

    def unmark(self) -> None:
        """Remove a mark. Of a frozen repository none is removed."""
        if not self.marks:
            return
        name = self.chance.choice(sorted(self.marks))
        if self.frozen is not None:
            with pytest.raises(RefusedError):
                remove_mark(self.world.repository, SET, name)
            return
        remove_mark(self.world.repository, SET, name)
        del self.marks[name]

    def check_labels_and_marks(self) -> None:
        """Each point has its labels, and the offsets of each mark can be read."""
        state = self.world.repository.log(SET).without_memory().state()
        for seq in [*state.points, *state.expired]:
            found = state.summary(seq)
            assert found is not None
            assert self.labels[seq] == found.labels, f"{SET}@{seq}"
        assert self.marks == {name: _end(read_mark(self.plain, mark.offsets)) for name, mark in state.marks.items()}

    def is_kept_by_label(self, seq: int) -> bool:
        """Whether the policy keeps the point because of a label, by what is known from outside."""
        labels = self.labels[seq]
        return self.policy.keep_tag is not None and ("kept" in labels or labels.get("env") == "prod")

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
        assert not {"expire", "remove", "release", "unmark"} & since

    def check_plan(self, plan: PrunePlan) -> None:
        """The laws of a plan: the minimum stays, held and young points stay, and nothing else is said to."""
        held = {seq for seq in self.holds.values() if seq is not None}
        gone = {*plan.expire, *plan.remove}
        assert len(plan.kept) >= min(self.policy.minimum_points, len(plan.kept) + len(plan.expire))
        assert not gone & held
        assert not any(map(self.is_kept_by_label, gone))
        assert not gone or None not in self.holds.values()
        assert self.world.repository.state(SET).newest_point in plan.kept

    def check_points(self) -> None:
        """Every live point restores what it has to."""
        for seq in self.world.repository.state(SET).points:
            target = f"copy-{seq}-{self.world.clock.now_ms()}"
            assert [] == list(self.world.restore({"orders": target}, seq=seq).mismatches)
            self.contents[seq].check(list(self.world.contents(target)))
        self.world.assert_valid()

    def check_end(self) -> None:
        """When all holds are released and the graces are over, every object that is left is one that a point names."""
        if self.frozen is not None:
            self.freeze_or_thaw()
        for name in self.holds:
            release_hold(self.world.repository, SET, name, reason="over", by="test")
        self.holds.clear()
        for expected in self.contents.values():
            expected.whole = 0
        self.unmark()
        for _ in range(4):
            self.world.clock.advance(duration_ms(self.policy.grace) + DAY_MS)
            with suppress(PreconditionError):
                self.prune()
        plan = draft_prune(self.world.repository, SET, self.policy, now_ms=self.world.clock.now_ms())
        assert (0, {}, ()) == (plan.unnamed.waiting_bytes, plan.unnamed.objects, plan.unnamed.dead_runs)
        assert all(map(self.is_kept_by_label, self.world.repository.state(SET).expired))
        self.check_labels_and_marks()
        assert len(self.marks) == len(list(self.plain.list(f"meta/{SET}/marks/")))
        self.check_points()


def _end(offsets: MarkedOffsets) -> int:
    [part] = offsets.partitions
    return part.end


@pytest.mark.parametrize("seed", [*range(12), *[pytest.param(n, marks=pytest.mark.exhaustive) for n in range(12, 60)]])
def test_what_the_policy_keeps_restores_and_nothing_else_is_left(seed: int) -> None:
    history = History(seed)
    for number in range(30):
        history.step()
        if number % 10 == 9:
            history.check_points()
    history.check_end()
