"""Stored evidence: the objects, the note in the log, the chain of reports, and the register."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from tasks.engine.evidence.canonical import read_report
from tasks.engine.evidence.dsse import verify_envelope
from tasks.engine.evidence.overdue import overdue_drills
from tasks.engine.evidence.register import read_register
from tasks.engine.evidence.report import Unknown
from tasks.engine.evidence.signing_keys import SigningKey, new_key_pair
from tasks.engine.evidence.store_evidence import StoredEvidence, store_evidence
from tasks.engine.evidence.stored_reports import load_report, newest_drill
from tasks.engine.options import RetentionPolicy
from tasks.engine.prune import prune_locally
from tasks.model.errors import DamagedError, NotFoundError, RefusedError
from tasks.repository.document import sha256_hex
from tasks.repository.entries import NoteEntry
from tasks.repository.names import head_key, is_immutable, report_key
from tasks.repository.repository import Repository
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.rules.small_world import SET as WORLD_SET
from tests.simulation.rules.small_world import SmallWorld
from tests.support.made_backup import SET, back_up, copy_store, keys, make_repository
from tests.support.made_drill import DAY_MS, START_MS, drill_id, failed_drill, full_context, made_context, passed_drill
from tests.support.made_logs import many_logs

KEY = SigningKey.from_pem(new_key_pair()[0], name="key")


@pytest.fixture
def repository() -> Repository:
    made = make_repository(MemoryStore())
    back_up(made, many_logs())
    return made


def _store(repository: Repository, number: int, *, is_signed: bool = False) -> StoredEvidence:
    return store_evidence(repository, passed_drill(number), made_context(), KEY if is_signed else None)


def test_signed_evidence_is_stored_once_and_named_by_a_note(repository: Repository) -> None:
    stored = _store(repository, 0, is_signed=True)

    [note] = _drill_notes(repository)
    report, envelope = (report_key(SET, drill_id(), part) for part in ("report.json", "envelope.json"))
    data, _ = repository.store.get(report)
    assert (1, "passed", report, sha256_hex(data)) == (
        note.point,
        note.drill and note.drill.verdict,
        note.drill and note.drill.report,
        note.drill and note.drill.report_sha256,
    )
    assert data == verify_envelope(repository.store.get(envelope)[0], KEY.public(), name=envelope)
    assert stored.report == read_report(data, key=report)
    assert (True, KEY.key_id) == (stored.is_signed, stored.report.proof.key_id)
    assert sorted(stored.keys) == keys(repository.store, "reports/")


def test_without_a_key_the_report_says_that_it_is_unsigned(repository: Repository) -> None:
    stored = _store(repository, 0)

    assert Unknown(unknown="unsigned: no signing key is configured") == stored.report.proof.key_id
    assert not stored.is_signed
    assert [report_key(SET, drill_id(), part) for part in ("report.html", "report.json")] == keys(
        repository.store, "reports/"
    )


def test_the_report_contains_the_gaps_of_its_point(repository: Repository) -> None:
    gaps = _store(repository, 0).report.integrity.gaps

    point = repository.log(SET).point(1).entry
    assert not isinstance(gaps, Unknown)
    expected = [*point.gaps, *point.failures, *point.trimmed, *point.truncated]
    assert [(note.topic, note.partition, note.reason) for note in expected] == [
        (gap.topic, gap.partition, gap.reason) for gap in gaps
    ]
    assert gaps


def test_storing_the_same_evidence_again_changes_nothing_also_after_other_drills(repository: Repository) -> None:
    _store(repository, 0)
    first = _store(repository, 2, is_signed=True)
    _store(repository, 1)
    before = keys(repository.store)

    assert first == _store(repository, 2, is_signed=True)
    assert before == keys(repository.store)
    assert 3 == len(_drill_notes(repository))


def test_evidence_that_a_crash_left_incomplete_is_completed(repository: Repository) -> None:
    """After the crash only the report was there."""
    store = repository.store
    assert isinstance(store, MemoryStore)
    before = {*keys(store)}
    whole = _store(repository, 0, is_signed=True)
    new = {*keys(store)} - before - {whole.keys[0]}
    left = Repository.open(copy_store(store, without=[*new, head_key(SET)]), repository.now_ms)

    again = _store(left, 0, is_signed=True)

    assert (whole, sorted(whole.keys)) == (again, keys(left.store, "reports/"))
    assert 1 == len(_drill_notes(left))


def test_a_set_that_does_not_exist_gets_no_log(repository: Repository) -> None:
    drill = passed_drill()
    drill = replace(drill, data=replace(drill.data, set_name="other"))

    with pytest.raises(NotFoundError, match="no backup set 'other'"):
        store_evidence(repository, drill, made_context(), None)
    assert [SET] == repository.set_names()
    assert [] == keys(repository.store, "reports/")


def test_another_report_of_the_same_drill_is_refused(repository: Repository) -> None:
    _store(repository, 0)

    with pytest.raises(RefusedError, match="exists with other contents"):
        store_evidence(repository, failed_drill(0), made_context(), None)
    assert "passed" == load_report(repository.store, SET, drill_id()).report.result.verdict


def test_each_report_names_the_one_before_it_and_the_last_eleven_drills(repository: Repository) -> None:
    stored = [_store(repository, number) for number in range(14)]

    for earlier, later in pairwise(stored):
        previous = later.report.identity.previous_report
        assert not isinstance(previous, Unknown)
        assert (earlier.report.identity.report_id, earlier.sha256) == (previous.drill, previous.sha256)
    last = stored[-1].report.objectives.last_drills
    assert [drill_id(number) for number in range(2, 13)] == [one.drill for one in last]
    assert stored[12].sha256 == last[-1].sha256


def test_an_earlier_report_that_is_damaged_is_named_with_the_reason(repository: Repository) -> None:
    damaged = _store(repository, 0)
    repository.store.put(damaged.keys[0], [b"{}"])

    [past] = _store(repository, 1).report.objectives.last_drills
    assert (drill_id(0), sha256_hex(b"{}")) == (past.drill, past.sha256)
    assert isinstance(past.verdict, Unknown)
    assert damaged.keys[0] in past.verdict.unknown
    with pytest.raises(DamagedError, match=r"report\.json"):
        load_report(repository.store, SET, drill_id(0))


def test_the_register_has_the_last_drill_of_each_topic_and_the_next_date(repository: Repository) -> None:
    store_evidence(repository, failed_drill(0), full_context(), None)
    newest = passed_drill(1)
    newest = replace(newest, data=replace(newest.data, excluded={"payments": "not its turn", "logs": "too large"}))
    store_evidence(repository, newest, full_context(), None)

    rows = read_register(repository.store)
    assert ["logs", "orders", "payments"] == [row.topic for row in rows]
    never, orders, payments = rows
    assert isinstance(never.drill, Unknown)
    assert (drill_id(1), "passed with remarks", 272_500) == (orders.drill, orders.verdict, orders.rto_ms)
    assert (drill_id(0), "failed", 1_200_000) == (payments.drill, payments.verdict, payments.rto_ms)
    assert newest.times.started_ms + 7 * DAY_MS == orders.next_due_ms


def test_the_register_takes_one_listing_and_one_read_for_each_report_that_it_needs(repository: Repository) -> None:
    for number in range(3):
        _store(repository, number)
    counting = _Counting(repository.store)

    read_register(counting)  # type: ignore[arg-type]
    assert ["list reports/", f"get {report_key(SET, drill_id(2), 'report.json')}"] == counting.calls


NOW_MS = START_MS + 2 * DAY_MS
WEEK_MS = 7 * DAY_MS


def _overdue(repository: Repository, at_ms: int) -> tuple[tuple[str, ...], int | None] | None:
    found = overdue_drills(repository.store, SET, now_ms=at_ms)
    return None if found is None else (found.topics, found.passed_ms)


def test_a_topic_is_overdue_when_its_last_passed_drill_is_older_than_the_interval(repository: Repository) -> None:
    store_evidence(repository, passed_drill(0, topics=("orders", "payments")), full_context(), None)
    other = passed_drill(1)
    other = replace(other, data=replace(other.data, excluded={"payments": "not its turn"}))
    store_evidence(repository, other, full_context(), None)

    assert _overdue(repository, START_MS + WEEK_MS) is None
    assert (("payments",), START_MS) == _overdue(repository, START_MS + WEEK_MS + 1)
    assert (("orders", "payments"), START_MS) == _overdue(repository, START_MS + WEEK_MS + DAY_MS + 1)


def _sampled(repository: Repository, number: int, topic: str, others: tuple[str, ...]) -> None:
    """Store the report of a drill of one topic, whose sample left out the others."""
    drill = passed_drill(number, topics=(topic,))
    left = dict.fromkeys(others, "not in the sample of 5 %")
    store_evidence(repository, replace(drill, data=replace(drill.data, excluded=left)), full_context(), None)


def test_a_topic_that_the_samples_of_all_last_drills_left_out_is_overdue(repository: Repository) -> None:
    """A topic that the samples have left out for less than the interval is not."""
    _sampled(repository, 0, "rare", ("orders",))
    for number in range(1, 14):
        _sampled(repository, number, "orders", ("rare",) if number < 12 else ("new", "rare"))

    assert (("rare",), None) == _overdue(repository, START_MS + 13 * DAY_MS)
    assert (("new", "rare"), None) == _overdue(repository, START_MS + 12 * DAY_MS + WEEK_MS + 1)


def test_daily_samples_within_a_long_interval_are_read_to_the_last_drill_of_each_topic(
    repository: Repository,
) -> None:
    _sampled(repository, 0, "rare", ("orders",))
    for number in range(1, 15):
        _sampled(repository, number, "orders", ("rare",))
    newest = passed_drill(15)
    context = full_context()
    context = replace(context, configured=replace(context.configured, drill_every_ms=14 * DAY_MS))
    newest = replace(newest, data=replace(newest.data, excluded={"rare": "not in the sample of 5 %"}))
    store_evidence(repository, newest, context, None)

    assert _overdue(repository, START_MS + 14 * DAY_MS) is None
    assert (("rare",), START_MS) == _overdue(repository, START_MS + 14 * DAY_MS + 1)


def test_overdue_drills_are_found_with_as_few_reads_as_possible(repository: Repository) -> None:
    """Each backup asks for them, and a report can be large."""
    for number in range(14):
        store_evidence(repository, passed_drill(number, topics=("orders", "payments")), full_context(), None)
    every_topic_passed = _reads_of_overdue(repository)
    _sampled(repository, 14, "orders", ("payments",))
    one_is_in_the_report_before = _reads_of_overdue(repository)
    store_evidence(repository, passed_drill(15, topics=("orders", "rare")), made_context(), None)
    no_interval = _reads_of_overdue(repository)
    store_evidence(repository, failed_drill(16), full_context(), None)
    one_was_never_tested = _reads_of_overdue(repository)

    assert (1, 2, 1, 12) == (every_topic_passed, one_is_in_the_report_before, no_interval, one_was_never_tested)


def _reads_of_overdue(repository: Repository) -> int:
    counting = _Counting(repository.store)
    overdue_drills(counting, SET, now_ms=START_MS + 30 * DAY_MS)  # type: ignore[arg-type]
    assert "list" == counting.calls[0].partition(" ")[0]
    return len(counting.calls) - 1


def test_a_failed_drill_does_not_count_as_a_drill_in_time(repository: Repository) -> None:
    store_evidence(repository, failed_drill(0), full_context(), None)
    assert (("orders", "payments"), None) == _overdue(repository, START_MS + 1)

    store_evidence(repository, passed_drill(1, topics=("orders", "payments")), full_context(), None)
    store_evidence(repository, failed_drill(2), full_context(), None)

    assert _overdue(repository, START_MS + DAY_MS + WEEK_MS) is None
    passed_ms = START_MS + DAY_MS
    assert (("orders", "payments"), passed_ms) == _overdue(repository, passed_ms + WEEK_MS + 1)


def test_nothing_is_overdue_without_a_report_or_an_interval_and_for_topics_that_are_gone(
    repository: Repository,
) -> None:
    assert _overdue(repository, NOW_MS) is None
    store_evidence(repository, passed_drill(0, topics=("gone", "orders")), full_context(), None)
    store_evidence(repository, passed_drill(1), full_context(), None)
    assert (("orders",), START_MS + DAY_MS) == _overdue(repository, START_MS + 30 * DAY_MS)
    store_evidence(repository, passed_drill(2), made_context(), None)
    assert _overdue(repository, START_MS + 30 * DAY_MS) is None, "the newest drill states no interval"


def test_a_report_that_cannot_be_read_counts_as_no_drill(repository: Repository) -> None:
    store_evidence(repository, passed_drill(0), full_context(), None)
    store_evidence(repository, passed_drill(1), full_context(), None)
    repository.store.delete([report_key(SET, drill_id(1), "report.json")])
    repository.store.put(report_key(SET, drill_id(1), "report.json"), [b"{}"])

    assert (("orders",), START_MS) == _overdue(repository, START_MS + WEEK_MS + 1)


def test_a_set_without_a_report_is_not_found(repository: Repository) -> None:
    assert [] == read_register(repository.store)
    with pytest.raises(NotFoundError, match="has no report of a drill"):
        read_register(repository.store, SET)
    with pytest.raises(NotFoundError, match="has no report of a drill"):
        newest_drill(repository.store, SET)
    with pytest.raises(NotFoundError, match=drill_id()):
        load_report(repository.store, SET, drill_id())


def test_a_prune_deletes_no_report_and_a_store_with_locks_locks_it() -> None:
    world = SmallWorld()
    world.store = MemoryStore("locks", now_ms=world.clock.now_ms, is_immutable=is_immutable, lock_ms=DAY_MS)
    world.topic(records=4)
    for _ in range(3):
        world.back_up()
        world.clock.advance(DAY_MS)
    drill = passed_drill()
    drill = replace(drill, data=replace(drill.data, set_name=WORLD_SET))
    stored = store_evidence(world.repository, drill, made_context(), KEY)
    assert [True] * 3 == [is_immutable(key) for key in stored.keys]

    for _ in range(3):
        world.clock.advance(30 * DAY_MS)
        prune_locally(world.context(world.source), WORLD_SET, RetentionPolicy(keep_last=1))

    assert 1 == len(world.repository.state(WORLD_SET).points)
    assert sorted(stored.keys) == keys(world.store, "reports/")


class _Counting:
    """A store that records its calls."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> object:
        def call(key: str) -> object:
            self.calls.append(f"{name} {key}")
            return getattr(self._store, name)(key)

        return call


def _drill_notes(repository: Repository) -> list[NoteEntry]:
    entries = repository.log(SET).without_memory().entries()
    return [entry for entry in entries if isinstance(entry, NoteEntry) and entry.drill is not None]
