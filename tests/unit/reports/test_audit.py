"""The lines of an audit: each kind of entry says who did what and why."""

from __future__ import annotations

from typing import get_args

from tasks.reports.audit import RENDERERS, audit_document, audit_line, entry_text
from tasks.repository.compressed_objects import StoredRef
from tasks.repository.entries import (
    AnyEntry,
    DropEntry,
    ExpireEntry,
    FreezeEntry,
    HoldEntry,
    LabelEntry,
    MarkEntry,
    NoteEntry,
    ReleaseEntry,
    RemoveEntry,
    ThawEntry,
    UnexpireEntry,
    UnmarkEntry,
    VoidEntry,
)
from tasks.repository.set_state import SetState
from tasks.store.memory.memory_store import MemoryStore
from tests.support.made_backup import SET, make_repository
from tests.support.made_entries import empty_point

REPOSITORY = make_repository(MemoryStore("audit"))
COMMON = {**REPOSITORY.next_entry(SET, SetState(seq=16)), "newest_point": 3}
EXPIRY = ExpireEntry(
    **COMMON,
    points=(1, 2),
    policy={"keep_last": 2, "keep_labels": ("release", "keep=yes"), "grace": "24h"},
    plan_sha256="ab" * 32,
    approved_by="Ada Lovelace",
)


def test_every_kind_of_entry_has_a_sentence() -> None:
    assert set(get_args(AnyEntry)) == RENDERERS.keys()


def test_a_line_says_when_which_entry_and_what() -> None:
    line = audit_line(NoteEntry(**COMMON, point=3, text="restore r finalized"))

    assert line.startswith("20")
    assert ["demo@17", "note", "restore r finalized (@3)"] == line.split(maxsplit=3)[1:]


def test_an_expiry_names_the_points_the_rules_the_plan_and_who_approved_it() -> None:
    expected = (
        "@1, @2 expired, because the policy keep_last: 2, keep_labels: release or keep=yes, grace: 24h does not keep "
        'them; plan abababababab, approved by "Ada Lovelace"'
    )

    assert expected == entry_text(EXPIRY)


def test_a_drop_names_the_data_its_limit_the_plan_and_who_approved_it() -> None:
    entry = DropEntry(
        **COMMON,
        before_ms=1_800_000_000_000,
        up_to=16,
        spared=(4,),
        objects=2,
        stored_bytes=2048,
        policy={"keep_last": 2, "maximum_age": "90d"},
        plan_sha256="ab" * 32,
        approved_by="Ada",
    )

    assert entry_text(entry) == (
        "data captured before 2027-01-15T08:00:00Z left the set: 2 data objects with 2.0 KiB; @4 keep it, because of a "
        "hold; the policy is keep_last: 2, maximum_age: 90d; plan abababababab, approved by Ada"
    )


def test_every_other_change_names_its_subject_its_author_and_its_reason() -> None:
    entries: dict[AnyEntry, str] = {
        VoidEntry(**COMMON, run="r", reason="its writer died"): "run r ended without a point: its writer died",
        UnexpireEntry(**COMMON, points=(1,)): "@1 brought back",
        UnexpireEntry(**COMMON, points=(1, 2), plan_sha256="ab" * 32): (
            "@1, @2 brought back by the prune, because they were being read"
        ),
        RemoveEntry(**COMMON, points=(1, 2)): "@1, @2 removed, and cannot come back",
        HoldEntry(**COMMON, name="case 7", points=(4,), reason="audit", by="legal"): (
            'hold "case 7" on @4 by legal: audit'
        ),
        HoldEntry(
            **COMMON, name="all", points=None, reason="audit", by="legal"
        ): "hold all on all points by legal: audit",
        ReleaseEntry(**COMMON, name="all", reason="closed", by="legal"): "hold all released by legal: closed",
        FreezeEntry(**COMMON, reason="ransomware", by="on call"): 'repository frozen by "on call": ransomware',
        UnmarkEntry(**COMMON, name="release 7", run="r"): 'mark "release 7" removed',
        ThawEntry(**COMMON, reason="all clear", by="on call"): 'freeze ended by "on call": all clear',
        NoteEntry(**COMMON, text="two\nlines"): "two lines",
    }

    assert list(entries.values()) == [entry_text(entry) for entry in entries]
    offsets = StoredRef(key="k", sha256="", stored_bytes=0)
    mark = MarkEntry(**COMMON, name="m", run="r", cluster_id="c", offsets=offsets, note="before the change")
    assert "mark m set: before the change" == entry_text(mark)
    label = LabelEntry(**COMMON, point=3, labels={"release": "1"}, removed=("old", "older"))
    assert "@3 got release=1 and lost old, older" == entry_text(label)


def test_a_point_says_its_kind_status_and_size() -> None:
    entry = empty_point(REPOSITORY, SetState(), run="r")

    assert "snapshot, complete, 0 records, 0 B stored" == entry_text(entry)


def test_many_points_are_counted_on_the_line_and_all_in_the_document() -> None:
    entry = RemoveEntry(**COMMON, points=tuple(range(1, 101)))

    assert "@8 and 92 more removed" in entry_text(entry)
    assert list(range(1, 101)) == audit_document(entry)["points"]


def test_a_document_has_the_members_of_the_entry_and_its_line() -> None:
    document = audit_document(EXPIRY)

    assert {"kind", "seq", "set", "time_ms", "tool", "points", "policy", "plan_sha256", "approved_by", "text"} == (
        document.keys()
    )
    assert "index" not in audit_document(empty_point(REPOSITORY, SetState(), run="r"))
