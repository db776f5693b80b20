"""The log and its hints: appended by put-if-absent, read on until the end, heads and checkpoints never trusted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.model.errors import ConfigError, DamagedError, NotFoundError, UnsupportedError
from tasks.repository import hints
from tasks.repository.compressed_objects import compress_object
from tasks.repository.entries import NoteEntry, decode_entry, encode_entry
from tasks.repository.names import checkpoint_key, head_key, log_key
from tasks.repository.partition_table import TableRef, read_table
from tasks.repository.repository import Repository
from tasks.repository.set_log import SetLog
from tasks.repository.set_state import SetState, fold
from tasks.store.memory.memory_store import MemoryStore
from tests.support.counting_store import CountingStore
from tests.support.faults import FaultyStore
from tests.support.made_backup import SET, append_note, copy_store, make_backup, make_repository


@pytest.fixture(autouse=True)
def _checkpoint_at_every_fourth_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "CHECKPOINT_EVERY", 4)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def repository(store: MemoryStore) -> Repository:
    return make_repository(store)


def _notes(repository: Repository, count: int) -> SetLog:
    for number in range(count):
        append_note(repository, f"note {number}")
    return repository.log(SET)


def test_a_set_without_entries_has_the_empty_state(repository: Repository) -> None:
    assert SetState() == repository.log(SET).state()
    with pytest.raises(NotFoundError, match="no backup set"):
        repository.state(SET)
    assert [] == repository.set_names()


def test_entries_are_numbered_and_chained(repository: Repository) -> None:
    log = _notes(repository, 6)
    entries = list(log.entries())
    assert list(range(1, 7)) == [entry.seq for entry in entries]
    tips = [log.read_entry(seq) for seq in range(1, 7)]
    assert [None, *(found[1] for found in tips[:-1] if found)] == [entry.parent for entry in entries]
    assert [SET] == repository.set_names()


def test_two_equal_notes_are_two_entries(repository: Repository) -> None:
    append_note(repository, "same")
    append_note(repository, "same")
    first, second = repository.log(SET).entries()
    assert first.id != second.id


def test_the_state_is_the_same_with_hints_and_without(store: MemoryStore, repository: Repository) -> None:
    log = _notes(repository, 9)
    expected = log.state()
    assert 9 == expected.seq
    for without in ([head_key(SET)], [checkpoint_key(SET, 4)], [checkpoint_key(SET, 8)], [log_key(SET, 99)]):
        other = copy_store(store, without=without)
        assert expected == SetLog(other, log.repository_id, SET).state()


def test_a_stale_head_is_read_beyond(store: MemoryStore, repository: Repository) -> None:
    stale = _notes(repository, 3)
    old_head = store.get(head_key(SET))[0]
    append_note(repository, "later")
    store.put(head_key(SET), [old_head])
    assert 4 == stale.state().seq


def test_a_stale_head_that_lies_about_a_checkpoints_entry_is_damage(store: MemoryStore, repository: Repository) -> None:
    _notes(repository, 5)
    hints.write_head(store, SET, SetState(seq=4, tip="f" * 64))
    with pytest.raises(DamagedError, match="is not the entry that the head names"):
        make_repository(store).log(SET).state()


def test_a_checkpoint_that_another_log_made_is_damage(store: MemoryStore, repository: Repository) -> None:
    _notes(repository, 5)
    store.delete([checkpoint_key(SET, 4)])
    hints.write_checkpoint(store, SET, SetState(seq=4, tip="f" * 64))
    with pytest.raises(DamagedError, match="is not the entry that was read before, or that the checkpoint names"):
        make_repository(store).log(SET).state()


def test_a_process_reads_each_entry_once(store: MemoryStore) -> None:
    """Later states take three requests: the head, the newest entry that is known, and the entry that may follow it."""
    counting = CountingStore(store)
    repository = make_repository(counting)
    _notes(repository, 3)
    append_note(make_repository(store), "of another process")
    for expected in (4, 3, 3):
        counting.requests.clear()
        assert 4 == repository.log(SET).state().seq
        assert expected == len(counting.requests)


def test_a_known_entry_that_was_replaced_is_damage(store: MemoryStore, repository: Repository) -> None:
    log = _notes(repository, 2)
    store.put(log_key(SET, 2), [store.get(log_key(SET, 2))[0].replace(b"note 1", b"note 2")])
    with pytest.raises(DamagedError):
        log.state()


def test_checkpoints_are_written_when_they_are_due_and_hold_the_fold(repository: Repository) -> None:
    log = _notes(repository, 8)
    pairs = [found for seq in range(1, 9) if (found := log.read_entry(seq))]
    for seq in range(1, 9):
        checkpoint = hints.read_checkpoint(log.store, SET, seq)
        assert (fold(pairs[:seq]) if seq % 4 == 0 else None) == checkpoint


def test_failing_hints_do_not_fail_the_change(store: MemoryStore, repository: Repository) -> None:
    _notes(repository, 3)
    faulty = FaultyStore(store)
    faulty.fail_before("put")
    faulty.fail_before("put_if_absent", skip=1)  # the entry is put, the checkpoint is not
    assert 4 == append_note(make_repository(faulty), "fourth").seq
    assert None is hints.read_checkpoint(store, SET, 4)
    assert 4 == repository.state(SET).seq


def test_an_entry_in_another_place_is_damage(store: MemoryStore, repository: Repository) -> None:
    log = _notes(repository, 2)
    data = store.get(log_key(SET, 2))[0]
    for set_name, seq, repository_id in ((SET, 3, log.repository_id), ("b", 2, log.repository_id), (SET, 2, "other")):
        with pytest.raises(DamagedError, match="contains entry 2 of set 'demo'"):
            decode_entry(data, set_name=set_name, seq=seq, repository_id=repository_id)


def test_unknown_members_of_an_entry_survive(repository: Repository) -> None:
    log = _notes(repository, 1)
    found = log.read_entry(1)
    assert found is not None
    note = NoteEntry.model_validate({**found[0].to_json(), "later": {"a": 1}})
    again = decode_entry(encode_entry(note)[0], set_name=SET, seq=1, repository_id=log.repository_id)
    assert {"a": 1} == again.to_json()["later"]


def test_only_a_point_is_a_point(repository: Repository) -> None:
    log = _notes(repository, 1)
    for seq in (1, 2):
        with pytest.raises(NotFoundError, match="is not a restore point"):
            log.point(seq)


def test_a_name_that_no_set_can_have_is_refused(repository: Repository) -> None:
    with pytest.raises(ConfigError):
        repository.log("../x")


def test_a_hole_in_the_log_is_damage(store: MemoryStore, repository: Repository) -> None:
    log = _notes(repository, 3)
    log.check_continuous()
    store.delete([log_key(SET, 2), head_key(SET)])
    with pytest.raises(DamagedError, match=r"0000000002\.json is missing, although .*0000000003\.json exists"):
        log.without_memory().check_continuous()


def test_an_entry_that_comes_while_the_log_is_checked_is_no_hole(store: MemoryStore, repository: Repository) -> None:
    _notes(repository, 2)
    faulty = FaultyStore(store)
    stall = faulty.stall("list")
    with ThreadPoolExecutor(1) as pool:
        checking = pool.submit(make_repository(faulty).log(SET).check_continuous)
        assert stall.reached.wait(10)
        append_note(repository, "meanwhile")
        stall.release.set()
        checking.result(10)


def test_a_table_of_a_newer_version_is_refused() -> None:
    store = MemoryStore()
    stored, digest = compress_object(b'{"format":2,"rows":[]}')
    store.put("table", [stored])
    ref = TableRef(key="table", sha256=digest, stored_bytes=len(stored), rows=0)
    with pytest.raises(UnsupportedError, match="format 2"):
        read_table(store, [ref], entry_seq=1)


def test_a_later_delta_of_the_table_replaces_a_row() -> None:
    made = make_backup()
    [base] = made.point.table
    rows = read_table(made.store, [base, base.model_copy(update={"seq": 9})], entry_seq=made.point.seq)
    assert {9} == {row.base_seq for row in rows.values()}
