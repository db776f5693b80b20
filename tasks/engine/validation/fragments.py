"""Validation of what the commit of a run was made from: its plan and its fragments. Nobody reads them to restore; they
are what an index is rebuilt from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.engine.validation.damage import DamageFinding, of_error, of_lines, of_object
from tasks.model.errors import DamagedError
from tasks.repository.fragments import Fragment, read_fragment
from tasks.repository.lines import IndexLine
from tasks.repository.plans import read_plan
from tasks.repository.repository import Repository
from tasks.store.protocol import ObjectStore


def run_of(data_key: str) -> str:
    """The run that wrote a data object."""
    return data_key.split("/")[2]


def fragment_beside(data_key: str) -> str:
    """The key of the fragment that describes a data object."""
    return f"fragments/{data_key.removeprefix('data/').rpartition('.log.')[0]}.json"


def check_fragment(repository: Repository, data_key: str, lines: Sequence[IndexLine]) -> list[DamageFinding]:
    """A finding per partition of a data object unless its fragment is intact and says what the index `lines` say."""
    key = fragment_beside(data_key)
    try:
        fragment = read_fragment(repository.store, key)
    except DamagedError as error:
        return of_lines(key, lines, _without_key(str(error), key))
    if fragment.repository_id != repository.root.repository_id:
        return of_lines(key, lines, "it belongs to another repository")
    strangers = [line for line in lines if not _is_told(line, fragment)]
    return of_lines(key, strangers, "it says otherwise than the index")


def lone_fragments(store: ObjectStore, set_name: str, run: str, beside: set[str]) -> list[str]:
    """Keys of a run's fragments that stand `beside` no named data object.

    They are found by listing, and so not missed when they are gone. A retried attempt's are among them.
    """
    return [info.key for info in store.list(f"fragments/{set_name}/{run}/") if info.key not in beside]


def check_lone_fragment(store: ObjectStore, key: str) -> Iterator[DamageFinding]:
    """A finding unless the fragment is intact; what it says is not looked at."""
    try:
        read_fragment(store, key)
    except DamagedError as error:
        yield of_error(error)


def check_plan(repository: Repository, set_name: str, run: str) -> Iterator[DamageFinding]:
    """A finding unless the run's plan is there and intact."""
    try:
        plan = read_plan(repository.store, set_name, run)
    except DamagedError as error:
        yield of_error(error)
        return
    if plan.repository_id != repository.root.repository_id:
        yield of_object(f"meta/{set_name}/runs/{run}/plan.json", "it belongs to another repository")


def _is_told(line: IndexLine, fragment: Fragment) -> bool:
    """Whether the fragment has the line, or the one that it was clipped from."""
    return any(
        (one.source, one.object, one.sha256, one.stored_bytes)
        == (line.source, line.object, line.sha256, line.stored_bytes)
        and one.first <= line.first
        and line.next <= one.next
        and set(line.frames) <= set(one.frames)
        for one in fragment.lines
    )


def _without_key(message: str, key: str) -> str:
    return "it " + message.removeprefix(key).removeprefix(": ").strip() if message.startswith(key) else message
