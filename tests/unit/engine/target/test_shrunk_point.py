"""A restore of a point that contains less than an older one names the older one."""

from __future__ import annotations

from tasks.engine.target.shrunk_point import shrunk_point_finding
from tasks.repository.entries import Totals
from tasks.repository.set_state import PointSummary
from tasks.repository.shrinkage import ShrinkageCounts


def _point(seq: int, records: int, *, than: tuple[int, int] | None = None, gone: int = 0) -> PointSummary:
    shrunk = (
        ShrinkageCounts(point=than[0], gone=gone, records_before=than[1], records=records) if than is not None else None
    )
    totals = Totals(topics=2 - gone, partitions=2, records=records, log_bytes=0, stored_bytes=0, objects=0)
    return PointSummary(
        seq=seq,
        run=f"run-{seq}",
        point_kind="snapshot",
        status="complete",
        time_ms=seq,
        cluster_id="c",
        totals=totals,
        shrunk=shrunk,
    )


def _message(seq: int, *points: PointSummary) -> str | None:
    finding = shrunk_point_finding("fc", seq, {point.seq: point for point in points})
    assert finding is None or ("warning", f"fc@{seq}", False) == (
        finding.level,
        finding.subject,
        finding.is_missing_data,
    )
    return finding.message if finding else None


FULL, WIPED = _point(1, 300), _point(2, 1, than=(1, 300), gone=1)
OLDER = 'To restore the older state, set backup_id: "fc@1".'


def test_the_shrunk_point_names_the_point_before_it() -> None:
    assert f"an older point of the set contains more: 1 topic of fc@1 is gone; 300 → 1 records. {OLDER}" == _message(
        2, FULL, WIPED
    )


def test_the_points_after_a_shrunk_point_name_the_older_one_too() -> None:
    assert (
        "an older point of the set contains more: this point has 2 topics and 2 records. fc@2 had lost the rest: "
        f"1 topic of fc@1 is gone; 300 → 1 records. {OLDER}"
    ) == _message(3, FULL, WIPED, _point(3, 2))


def test_of_several_losses_the_fullest_older_point_is_named() -> None:
    again = _point(3, 0, than=(2, 1), gone=1)
    message = _message(3, FULL, WIPED, again) or ""
    assert "1 topic of fc@2 is gone; 1 → 0 records" in message
    assert OLDER in message


def test_points_before_the_loss_and_after_a_recovery_have_no_finding() -> None:
    assert _message(1, FULL, WIPED) is None
    assert _message(3, FULL, WIPED, _point(3, 400)) is None


def test_a_loss_that_retention_explains_has_no_finding() -> None:
    assert _message(2, FULL, _point(2, 200, than=(1, 300))) is None


def test_an_older_point_that_was_removed_is_not_offered() -> None:
    assert (_message(2, WIPED) or "").endswith("300 → 1 records. fc@1 is no longer in the set.")
