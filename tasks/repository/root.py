"""`repository.json`: the object that makes a storage prefix a repository. Refuses stores that do not keep the promises
of conditional writes."""

from __future__ import annotations

from pydantic import Field

from tasks.model.errors import ConfigError, DamagedError, NotFoundError, ObjectExistsError
from tasks.repository.document import FORMAT_MAJOR, Document
from tasks.repository.names import ROOT_KEY, SETS, new_id
from tasks.repository.sealed_objects import find_sealed, put_sealed
from tasks.store.probe import probe
from tasks.store.protocol import ObjectStore


class ProbeOutcome(Document):
    """The results of the tests that ran on the store before the repository was created."""

    conditional_put: bool
    conditional_swap: bool
    read_after_write: bool


class Root(Document):
    """The identity of the repository."""

    format: int = FORMAT_MAJOR
    repository_id: str
    created_ms: int
    tool: str
    probe: ProbeOutcome
    single_writer: bool = Field(False, exclude_if=lambda is_one: not is_one)
    """The settings stated, when the repository was created, that only one machine ever writes to it. So its store can
    lack write conditions, also if the settings do not state it any more."""


def read_root(store: ObjectStore) -> Root:
    """The repository's root. Raises `NotFoundError` if the prefix contains no repository, `DamagedError` if the root is
    damaged or missing although `meta/` contains objects, and `UnsupportedError` for a newer format."""
    root = find_sealed(store, ROOT_KEY, Root)
    if root is not None:
        return root
    if next(iter(store.list(SETS)), None) is not None:
        raise DamagedError(
            f"{ROOT_KEY} is missing at {store.location}, although {SETS} has objects. If this repository has a "
            "mutable_bucket, mutable_container or mutable_prefix, the storage section has to name it.",
            key=ROOT_KEY,
        )
    raise NotFoundError(
        f"There is no repository at {store.location}. Correct the storage section, or make a first backup."
    )


def open_or_create_root(store: ObjectStore, *, now_ms: int, tool: str) -> Root:
    """The repository's root. It is created if the prefix contains no repository.

    Raises `ConfigError` for a store that ignores or refuses write conditions, or shows writes late, because two writers
    could overwrite each other. Otherwise raises what `read_root` raises, except `NotFoundError`, and the errors of the
    store. Also raises it for a store that cannot lock objects although its settings ask for it.
    """
    store.check_lock()
    try:
        return read_root(store)
    except NotFoundError:
        pass
    outcome = require_conditions(store)
    root = Root(
        repository_id=new_id() + new_id(),
        created_ms=now_ms,
        tool=tool,
        probe=outcome,
        single_writer=store.is_single_writer,
    )
    try:
        put_sealed(store, ROOT_KEY, root)
    except ObjectExistsError:
        return read_root(store)
    return root


def adopt_single_writer(store: ObjectStore) -> None:
    """Make the store used by a single writer if there is a repository that states it. Raises the errors of
    `find_sealed`."""
    root = find_sealed(store, ROOT_KEY, Root)
    if root is not None and root.single_writer:
        store.write_alone()


def single_writer_note(store: ObjectStore) -> str | None:
    """What an operator has to know about a repository whose store is used by a single writer. None for all others."""
    if not store.is_single_writer:
        return None
    return (
        f"{store.location} is used with single_writer: nothing prevents two machines from writing there at the same "
        "time. If they do, restore points are lost. A lease only shows who writes."
    )


def require_conditions(store: ObjectStore) -> ProbeOutcome:
    """Tests the store. Raises `ConfigError` if it does not keep the promises of conditional writes."""
    probed = probe(store)
    outcome = ProbeOutcome.model_validate(probed.to_json())
    if not (outcome.conditional_put and outcome.conditional_swap and outcome.read_after_write):
        answers = f" It answers: {' · '.join(probed.reasons)}." if probed.reasons else ""
        raise ConfigError(
            f"{store.location} ignores or refuses write conditions, or shows writes late ({_weakness(outcome)}): "
            "two writers could overwrite each other there. Use another store. If it is S3 and only one machine ever "
            f"writes there, set single_writer: true.{answers}"
        )
    return outcome


def _weakness(outcome: ProbeOutcome) -> str:
    return ", ".join(name.replace("_", " ") + " failed" for name, held in outcome.to_json().items() if held is False)
