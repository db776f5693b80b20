"""Validation as a whole: what it counts, pins, tells and refuses. What it finds is in tests/chaos/test_damage.py."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from tasks.engine.run_context import RunContext
from tasks.engine.validate import ValidationResult, validate_locally
from tasks.engine.validation.damage import DamageFinding, of_object
from tasks.engine.validation.objects import Level
from tasks.model.errors import InterruptedRunError, NotFoundError, StoreUnavailableError
from tasks.model.partition import Partition
from tasks.repository.entries import PointEntry
from tasks.repository.hints import CHECKPOINT_EVERY
from tasks.repository.names import log_key, log_prefix
from tasks.repository.points import PointReference
from tasks.repository.set_state import SetState
from tasks.store.local.local_store import LocalStore
from tests.support.counting_store import CountingStore
from tests.support.faults import FaultyStore
from tests.support.made_backup import (
    SET,
    MadeBackup,
    append_note,
    back_up,
    keys,
    make_backup,
    make_history,
    make_repository,
)
from tests.support.made_logs import many_logs


@pytest.fixture
def made() -> MadeBackup:
    return make_history()


def _validate(made: MadeBackup, level: Level, reference: str = SET) -> ValidationResult:
    return validate_locally(RunContext(repository=made.repository), PointReference.parse(reference), level=level)


def test_a_validation_reads_the_log_once_and_no_more_than_its_last_hundred_entries_again(made: MadeBackup) -> None:
    """Again to choose the point, and to compare what other readers see."""
    for number in range(300):
        append_note(made.repository, f"note {number}")
    counting = CountingStore(made.store)
    context = RunContext(repository=make_repository(counting))
    assert validate_locally(context, PointReference.parse(SET), level="quick").is_pinned
    entries = made.repository.state(SET).seq
    assert entries < counting.count("get", log_prefix(SET)) <= entries + 2 * CHECKPOINT_EVERY + 20


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_a_full_validation_reads_every_byte_and_counts_every_record(compression: str) -> None:
    made = make_backup(compression=compression)
    result = _validate(made, "full")
    assert () == result.findings
    assert sum(len(log.records) for log in made.logs) == result.checked_records == made.point.totals.records
    assert made.point.totals.stored_bytes == result.checked_bytes
    assert len(keys(made.store, "data/")) == made.point.totals.objects


def test_a_quick_validation_reads_no_data(made: MadeBackup) -> None:
    result = _validate(made, "quick")
    assert ((), 0, 0) == (result.findings, result.checked_bytes, result.checked_records)
    assert result.checked_objects < _validate(made, "full").checked_objects


def test_every_point_of_a_set_can_be_validated(made: MadeBackup) -> None:
    for seq in made.repository.state(SET).points:
        result = _validate(made, "full", f"{SET}@{seq}")
        assert (seq, ()) == (result.point.seq, result.findings)


def test_the_point_is_pinned_while_it_is_read_and_not_after(made: MadeBackup) -> None:
    pinned: list[int] = []

    def look(partition: Partition, *, records: int, log_bytes: int) -> None:
        pinned.append(len(keys(made.store, f"pins/{SET}/")))

    validate_locally(RunContext(repository=made.repository, progress=look), PointReference(SET), level="quick")
    assert {1} == set(pinned)
    assert [] == keys(made.store, "pins/")


@pytest.mark.parametrize("level", ["quick", "full"])
def test_progress_adds_up_to_the_points_totals(made: MadeBackup, level: Level) -> None:
    told: Counter[str] = Counter()
    lock = threading.Lock()

    def progress(partition: Partition, *, records: int, log_bytes: int) -> None:
        with lock:
            told.update(records=records, log_bytes=log_bytes)

    validate_locally(RunContext(repository=made.repository, progress=progress), PointReference(SET), level=level)
    assert (made.point.totals.records, made.point.totals.log_bytes) == (told["records"], told["log_bytes"])


def test_a_validation_can_be_stopped(made: MadeBackup) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedRunError):
        validate_locally(RunContext(repository=made.repository, stop=stop), PointReference(SET), level="full")
    assert [] == keys(made.store, "pins/")


def test_what_is_not_there_is_not_found(made: MadeBackup) -> None:
    for reference in ("nothing", f"{SET}@2", f"{SET}@99"):
        with pytest.raises(NotFoundError):
            _validate(made, "quick", reference)


@pytest.mark.parametrize("level", ["quick", "full"])
def test_a_store_that_does_not_answer_is_no_finding(made: MadeBackup, level: Level) -> None:
    faulty = FaultyStore(made.store)
    repository = make_repository(faulty)
    faulty.fail_before("head" if level == "quick" else "get", times=1000)
    with pytest.raises(StoreUnavailableError):
        validate_locally(RunContext(repository=repository), PointReference(SET), level=level)


def test_a_writer_that_goes_on_meanwhile_is_no_damage(made: MadeBackup) -> None:
    appended = iter(["one", "two", "three"])

    def append(number: int, operation: str, key: str) -> None:
        append_note(make_repository(made.store), next(appended, "more"))

    repository = make_repository(FaultyStore(made.store, on_write=append))
    result = validate_locally(RunContext(repository=repository), PointReference(SET), level="full")
    assert () == result.findings
    assert made.repository.state(SET).seq > 4


@pytest.mark.parametrize("total", ["topics", "partitions", "records", "log_bytes", "stored_bytes", "objects"])
def test_a_total_that_does_not_add_up_is_named(made: MadeBackup, total: str) -> None:
    totals = made.point.totals.model_copy(update={total: 1_000_000})

    def build(state: SetState) -> PointEntry:
        following = {"seq": state.seq + 1, "parent": state.tip, "newest_point": state.seq + 1, "totals": totals}
        return made.point.model_copy(update=following)

    seq = made.repository.log(SET).append(build).seq
    [finding] = _validate(made, "full").findings
    assert log_key(SET, seq) == finding.object
    assert total in finding.message


def test_a_local_repository_validates_and_full_finds_what_quick_cannot_see(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "backups", create=True)
    repository = make_repository(store)
    back_up(repository, many_logs())
    context = RunContext(repository=repository)
    assert () == validate_locally(context, PointReference(SET), level="full").findings
    key = keys(store, "data/")[0]
    file = tmp_path / "backups" / key
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    file.chmod(0o600)
    file.write_bytes(data)
    assert () == validate_locally(context, PointReference(SET), level="quick").findings
    [finding] = validate_locally(context, PointReference(SET), level="full").findings
    assert key == finding.object


def test_a_finding_says_what_where_and_which_offsets() -> None:
    finding = DamageFinding("data/x", "orders", 3, 10, 20, "the object is missing")
    assert "data/x: topic orders, partition 3, offsets 10 to 19: the object is missing" == str(finding)
    assert "meta/x is missing" == str(of_object("meta/x", "meta/x is missing"))
