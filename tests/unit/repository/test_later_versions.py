"""Values of enumerations that a later version wrote: reading them is unsupported (exit 2) and not damage (exit 20)."""

from __future__ import annotations

import pytest

from tasks.cli.exit_codes import exit_code_of
from tasks.model.errors import UnsupportedError
from tasks.repository.compressed_objects import compress_object
from tasks.repository.document import encode_json
from tasks.repository.fragments import read_fragment
from tasks.repository.names import log_key, plan_key
from tasks.repository.plans import read_plan
from tasks.store.memory.memory_store import MemoryStore
from tests.support.damaged_backup import with_edited
from tests.support.made_backup import SET, MadeBackup, keys, make_backup, make_repository
from tests.support.made_logs import many_logs


@pytest.fixture(scope="module")
def made() -> MadeBackup:
    return make_backup(many_logs()[:2])


@pytest.mark.parametrize("change", [{"point_kind": "rebuilt"}, {"status": "verified"}], ids=str)
def test_a_point_of_an_unknown_kind_or_status_is_unsupported(made: MadeBackup, change: dict[str, str]) -> None:
    [(name, value)] = change.items()
    store = with_edited(made.store, log_key(SET, 1), **change)
    with pytest.raises(UnsupportedError, match=rf"{log_key(SET, 1)} has the unknown {name} '{value}'") as raised:
        make_repository(store).state(SET)
    assert 2 == exit_code_of(raised.value)


@pytest.mark.parametrize("change", [{"timestamp_type": "TaiTime"}, {"codecs": ["none", "brotli"]}], ids=str)
def test_an_index_line_with_an_unknown_timestamp_type_or_codec_is_unsupported(
    made: MadeBackup, change: dict[str, object]
) -> None:
    repository = make_repository(_with_edited_lines(made, change))
    point = repository.log(SET).newest_point()
    assert point is not None
    with pytest.raises(UnsupportedError, match="use the kafka-backup that wrote it"):
        [lines[0] for lines in point.lines(point.rows.values()).values()]


def test_a_fragment_with_an_unknown_timestamp_type_is_unsupported(made: MadeBackup) -> None:
    key = keys(made.store, "fragments/")[0]
    lines = [line.to_json() for line in read_fragment(made.store, key).lines]
    store = with_edited(made.store, key, lines=[{**line, "timestamp_type": "TaiTime"} for line in lines])
    with pytest.raises(UnsupportedError, match=f"{key} has the unknown lines.0.timestamp_type 'TaiTime'"):
        read_fragment(store, key)


def test_a_plan_of_an_unknown_kind_is_unsupported(made: MadeBackup) -> None:
    """A process of this version would otherwise commit another kind of run as a snapshot."""
    run = made.point.run
    store = with_edited(made.store, plan_key(SET, run), kind="rebuilt")
    with pytest.raises(UnsupportedError, match="has the unknown kind 'rebuilt'"):
        read_plan(store, SET, run)


def _with_edited_lines(made: MadeBackup, change: dict[str, object]) -> MemoryStore:
    """A copy of the backup whose index object has other members in every line."""
    [ref] = made.point.index
    repository = make_repository(made.store)
    point = repository.log(SET).point(1)
    lines = [line.to_json() for lines in point.lines(point.rows.values()).values() for line in lines]
    stored, digest = compress_object(b"".join(encode_json({**line, **change}) for line in lines))
    edited = {**ref.to_json(), "sha256": digest, "stored_bytes": len(stored)}
    copy = with_edited(made.store, log_key(SET, 1), index=[edited])
    copy.delete(["heads/demo.json"])
    copy.put(ref.key, [stored])
    return copy
