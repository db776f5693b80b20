"""Validates the plan and the fragments of a run. A restore does not read them, but an index can be rebuilt from
them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.engine.validation.damage import DamageFinding, of_error, of_lines, of_object
from tasks.model.errors import DamagedError
from tasks.repository.fragments import Fragment, read_fragment
from tasks.repository.lines import IndexLine
from tasks.repository.names import fragment_beside, fragment_prefix, plan_key
from tasks.repository.plans import read_plan
from tasks.repository.repository import Repository
from tasks.store.protocol import ObjectStore


def check_fragment(repository: Repository, data_key: str, lines: Sequence[IndexLine]) -> list[DamageFinding]:
    """The findings about the fragment of a data object: one for each partition if it is missing, damaged or of another
    repository, otherwise one for each partition with a line that it does not contain. `lines` are the index lines of
    the object."""
    key = fragment_beside(data_key)
    try:
        fragment = read_fragment(repository.store, key)
    except DamagedError as error:
        return of_lines(key, lines, _without_key(str(error), key))
    if fragment.repository_id != repository.root.repository_id:
        return of_lines(key, lines, "it belongs to another repository")
    absent = [line for line in lines if not _contains(line, fragment)]
    return of_lines(key, absent, "its lines differ from those of the index")


def lone_fragments(store: ObjectStore, set_name: str, run: str, beside: set[str]) -> list[str]:
    """The keys of a run's fragments that are not in `beside`, the fragments of named data objects.

    They are found by listing, so a missing one is not noticed. Fragments of attempts that were repeated are among them.
    """
    return [info.key for info in store.list(fragment_prefix(set_name, run)) if info.key not in beside]


def check_lone_fragment(store: ObjectStore, key: str) -> Iterator[DamageFinding]:
    """A finding if the fragment is damaged. Its contents are not compared with anything."""
    try:
        read_fragment(store, key)
    except DamagedError as error:
        yield of_error(error)


def check_plan(repository: Repository, set_name: str, run: str) -> Iterator[DamageFinding]:
    """A finding if the run's plan is missing, damaged or of another repository."""
    try:
        plan = read_plan(repository.store, set_name, run)
    except DamagedError as error:
        yield of_error(error)
        return
    if plan.repository_id != repository.root.repository_id:
        yield of_object(plan_key(set_name, run), "it belongs to another repository")


def _contains(line: IndexLine, fragment: Fragment) -> bool:
    """Whether the fragment contains the line, or the line from which it was clipped."""
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
