"""Freezes a repository for the time of an incident: nothing in it expires or is deleted. Thaws it again."""

from __future__ import annotations

from collections.abc import Callable

from tasks.engine.run_context import RunContext
from tasks.model.errors import KafkaBackupError, NotFoundError, ObjectExistsError
from tasks.repository.entries import AnyEntry, FreezeEntry, ThawEntry
from tasks.repository.freeze import find_freeze
from tasks.repository.leases import wait_until_free
from tasks.repository.names import FREEZE_KEY, prune_lease_key
from tasks.repository.repository import Repository
from tasks.repository.sealed_objects import put_sealed
from tasks.repository.set_state import Freeze, SetState


def freeze_repository(
    context: RunContext, *, reason: str, by: str, waiting: Callable[[str], None] = lambda owner: None
) -> Freeze:
    """Freeze the whole repository, and return the freeze that is in force: an older one if there is one.

    It is in force as soon as `freeze.json` is written. On return each set's log contains it, and prunes that were
    running have ended, so nothing is deleted any more. After any error call it again: what is frozen stays frozen. A
    set whose log cannot be read does not prevent the freeze of the others; its error is raised at the end. `waiting` is
    called with the owner of each prune that has to end.
    """
    repository = context.repository
    freeze = Freeze(reason=reason, by=by, since_ms=repository.now_ms())
    try:
        put_sealed(repository.store, FREEZE_KEY, freeze)
    except ObjectExistsError:
        freeze = find_freeze(repository.store) or freeze
    names = repository.set_names()
    errors = [error for name in names if (error := _freeze_set(repository, name, freeze)) is not None]
    for name in names:
        key = prune_lease_key(name)
        wait_until_free(repository.store, key, stop=context.stop, clock=context.clock, waiting=waiting)
    if errors:
        raise errors[0]
    return freeze


def thaw_repository(repository: Repository, *, reason: str, by: str) -> Freeze:
    """End the freeze, and return it. Raises `NotFoundError` if the repository is not frozen. After any error the
    repository is still frozen: call it again."""
    freeze = repository.freeze()
    if freeze is None:
        raise NotFoundError(f"The repository at {repository.store.location} is not frozen.")
    for name in repository.set_names():
        _thaw_set(repository, name, reason=reason, by=by)
    repository.store.delete([FREEZE_KEY])
    return freeze


def _freeze_set(repository: Repository, set_name: str, freeze: Freeze) -> KafkaBackupError | None:
    """Append the entry unless the log has one. Returns the error if that is not possible."""

    def build(state: SetState) -> AnyEntry:
        return FreezeEntry(**repository.next_change(set_name, state), reason=freeze.reason, by=freeze.by)

    try:
        log = repository.log(set_name)
        if log.state().frozen is None:
            log.append(build)
    except KafkaBackupError as error:
        return error
    return None


def _thaw_set(repository: Repository, set_name: str, *, reason: str, by: str) -> None:
    def build(state: SetState) -> AnyEntry:
        return ThawEntry(**repository.next_change(set_name, state), reason=reason, by=by)

    log = repository.log(set_name)
    if log.state().frozen is not None:
        log.append(build)
