"""Holds: named reasons why points of a set stay, whatever the policy says. Sets and releases them."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.model.errors import NotFoundError, RefusedError
from tasks.repository.entries import AnyEntry, HoldEntry, ReleaseEntry
from tasks.repository.repository import Repository
from tasks.repository.set_state import SetState


def add_hold(
    repository: Repository, set_name: str, name: str, points: Sequence[int] | None, *, reason: str, by: str
) -> None:
    """Set a hold on points, or on all points of the set. Raises `NotFoundError` for a point that is neither live nor
    expired, and `RefusedError` if there is another hold of this name."""
    repository.state(set_name)

    def build(state: SetState) -> AnyEntry:
        unknown = [seq for seq in points or () if seq not in state.points and seq not in state.expired]
        if unknown:
            raise NotFoundError(f"{set_name}@{unknown[0]} is not a restore point.")
        if name in state.holds:
            raise RefusedError(f"The set {set_name} has a hold of the name {name!r} already. Use another name.")
        return HoldEntry(
            **repository.next_change(set_name, state),
            name=name,
            points=None if points is None else tuple(points),
            reason=reason,
            by=by,
        )

    repository.log(set_name).append(build)


def release_hold(repository: Repository, set_name: str, name: str, *, reason: str, by: str) -> None:
    """End a hold. Raises `NotFoundError` if there is none of this name."""
    repository.state(set_name)

    def build(state: SetState) -> AnyEntry:
        if name not in state.holds:
            raise NotFoundError(f"The set {set_name} has no hold of the name {name!r}.")
        return ReleaseEntry(
            **repository.next_change(set_name, state),
            name=name,
            reason=reason,
            by=by,
        )

    repository.log(set_name).append(build)
