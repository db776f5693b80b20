"""The result of a restore: exit code, text and JSON."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.cli.restore import code_of, confirm_purge, count_written_records, print_preview, print_result
from tasks.cli.session import Session
from tasks.engine.positions.translate import LeftOutPosition, TranslatedPosition
from tasks.engine.progress import silent
from tasks.engine.replay.verify import Mismatch
from tasks.engine.restore import RestoreResult
from tasks.engine.restore_steps import Preview
from tasks.engine.target.findings import Finding
from tasks.model.errors import BrokerError, ConfigError, KafkaBackupError
from tasks.model.partition import Partition
from tasks.repository.restores import RestorePlan, StepDone, write_part
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.rules.small_world import WITH_POSITIONS, SmallWorld
from tests.support.made_backup import make_repository

PLAN = RestorePlan(
    repository_id="repository",
    restore="r1",
    set="orders",
    point=7,
    created_ms=1,
    cluster_id="cluster",
    options={},
    regroup_bytes=1,
    topics=(),
    partitions=(),
    bins=(),
    tool="made",
)


def _result(*, failure: str | None = None, mismatches: int = 0, deferred: tuple[str, ...] = ()) -> RestoreResult:
    """A result with one position, which failed if `failure` is given."""
    position = TranslatedPosition(
        group="billing",
        source_topic="a",
        source_partition=0,
        source_offset=700,
        target_topic="b",
        target_partition=0,
        target_offset=650,
        metadata="",
        failure=failure,
    )
    return RestoreResult(
        plan=PLAN,
        findings=(),
        mismatches=[Mismatch(Partition("b", "id", 0), "3 records, not 4")] * mismatches,
        positions=[position],
        positions_written=True,
        deferred=deferred,
    )


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (_result(), 0),
        (_result(deferred=("b",)), 0),
        (_result(failure="UNKNOWN_MEMBER_ID"), 3),
        (_result(mismatches=1), 1),
        (_result(mismatches=1, failure="UNKNOWN_MEMBER_ID"), 1),
    ],
)
def test_a_restore_has_exit_code_0_only_without_mismatches_and_failed_positions(
    result: RestoreResult, expected: int
) -> None:
    assert expected == code_of(result)


def test_every_mismatch_and_every_failed_position_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(Session(False, False), _result(failure="UNKNOWN_MEMBER_ID", mismatches=1), 1.0, Path("r.yaml"))

    out = capsys.readouterr().out
    assert "restore r1 of orders@7: 1 MISMATCH" in out
    assert "mismatch: b-0: 3 records, not 4" in out
    assert "UNKNOWN_MEMBER_ID" in out


def test_a_preview_shows_topics_positions_and_a_verdict_and_json_has_each_position(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = SmallWorld()
    world.topic(records=20)
    world.commit("billing", {("orders", 0): 7})
    world.back_up()
    preview = world.preview(**WITH_POSITIONS)

    print_preview(Session(False, False), preview)
    shown = capsys.readouterr().out
    print_preview(Session(True, False), preview)
    document = json.loads(capsys.readouterr().out)

    assert "topics to create: copy (1 partition)\ntopics that exist: none\n" in shown
    assert "group positions to write: billing (1 position)\n" in shown
    assert shown.endswith("Nothing was changed.\n")
    assert (["copy"], [], False, True) == tuple(
        document[key] for key in ("topics_to_create", "existing_topics", "is_refused", "would_write_positions")
    )
    assert [("billing", "orders", 7, "copy", 0)] == [
        (one["group"], one["source_topic"], one["source_offset"], one["target_topic"], one["target_partition"])
        for one in document["positions"]
    ]


def test_a_restore_that_fails_after_it_wrote_says_how_much_and_how_to_go_on() -> None:
    repository = make_repository(MemoryStore())
    partition = Partition("b", "id", 0)

    def fail(records: int) -> None:
        with count_written_records(repository, lambda: "r1") as progress_to:
            progress_to(silent)(partition, records=records, log_bytes=1)
            raise BrokerError("The disk is full.")

    def failed(records: int) -> str:
        with pytest.raises(KafkaBackupError) as caught:
            fail(records)
        return str(caught.value)

    assert "The disk is full." == failed(0)
    begin = "The disk is full. Restore r1 had written 7 records, "
    assert failed(7).startswith(f"{begin}which are not verified")
    assert failed(7).endswith("run the same command again. To give it up: `kafka-backup abandon r1`.")
    done = StepDone(restore="r1", step="verified", time_ms=1, report={"mismatches": []})
    write_part(repository.store, "r1", "verified", done)
    assert f"{begin}and they are verified. To continue it, correct the cause and run the same command again." == failed(
        7
    )


class _Terminal(io.StringIO):
    """A terminal on which somebody has typed a line."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def purging() -> Preview:
    """The preview of a restore that would purge a topic with three records."""
    world = SmallWorld()
    world.topic()
    world.back_up()
    world.topic("copy", records=3, cluster=world.target)
    return world.preview(purge_topics=True)


@pytest.mark.parametrize(("answer", "is_confirmed"), [("yes\n", True), ("y\n", False), ("", False)])
def test_a_purge_is_confirmed_after_the_target_was_read_and_its_question_says_how_much_is_deleted(
    purging: Preview,
    answer: str,
    is_confirmed: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(answer))

    with nullcontext() if is_confirmed else pytest.raises(ConfigError, match="was not confirmed"):
        confirm_purge(Session(False, False), purging)
    assert "deletes all records of the restored partitions of copy (3 offsets). Type 'yes'" in capsys.readouterr().err


def test_a_purge_without_a_terminal_is_refused_with_what_it_would_delete(
    purging: Preview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    with pytest.raises(ConfigError, match=r"copy \(3 offsets\)\. Confirm this with --yes"):
        confirm_purge(Session(False, False), purging)


def test_a_restore_that_is_refused_or_purges_nothing_asks_nothing(purging: Preview) -> None:
    confirm_purge(Session(False, False), replace(purging, findings=[Finding("error", "copy", "it has no leader")]))
    topics = [topic.model_copy(update={"is_purged": False}) for topic in purging.plan.topics]
    unpurged = replace(purging, plan=purging.plan.model_copy(update={"topics": tuple(topics)}))
    confirm_purge(Session(False, False), unpurged)


def test_clamped_and_left_out_positions_are_printed_with_their_reason(capsys: pytest.CaptureFixture[str]) -> None:
    [position] = _result().positions
    note = "700 is beyond the end of the backup at 650, so the position is the end"
    left_out = LeftOutPosition(group="billing", topic="a", partition=7, offset=5, reason="the backup does not have it")
    result = replace(_result(), positions=[replace(position, note=note)], left_out=[left_out])

    print_result(Session(False, False), result, 1.0, Path("r.yaml"))
    out = capsys.readouterr().out
    assert f"written; {note}" in out
    assert "position left out: group billing: a-7 at 5: the backup does not have it" in out

    print_result(Session(True, False), result, 1.0, Path("r.yaml"))
    document = json.loads(capsys.readouterr().out)
    assert (note, 7) == (document["positions"][0]["note"], document["positions_left_out"][0]["partition"])


def test_json_reports_positions_as_written_after_a_verified_restore(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(Session(True, False), _result(), 1.0, Path("r.yaml"))

    assert True is json.loads(capsys.readouterr().out)["positions_written"]


def test_deferred_topics_are_printed_with_the_command_that_finalizes_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(Session(False, False), _result(deferred=("b",)), 1.0, Path("my files/r.yaml"))

    assert "`kafka-backup finalize r1 --config 'my files/r.yaml'`" in capsys.readouterr().out


def test_json_contains_point_mismatches_positions_and_deferred_topics(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(Session(True, False), _result(failure="UNKNOWN_MEMBER_ID", mismatches=1), 1.0, Path("r.yaml"))

    document = json.loads(capsys.readouterr().out)
    assert ("orders@7", False, []) == tuple(document[key] for key in ("point", "positions_written", "to_finalize"))
    assert [{"target": "b-0", "message": "3 records, not 4"}] == document["mismatches"]
    assert ("billing", 650, "UNKNOWN_MEMBER_ID") == tuple(
        document["positions"][0][key] for key in ("group", "target_offset", "failure")
    )
