"""`repository.json`: what makes a storage prefix a repository."""

from __future__ import annotations

from tasks.model.errors import ConfigError, DamagedError, NotFoundError, ObjectExistsError, ObjectNotFoundError
from tasks.repository.document import FORMAT_MAJOR, Document, seal, sha256_hex, unseal
from tasks.repository.names import ROOT_KEY, new_id
from tasks.store.probe import probe
from tasks.store.protocol import ObjectStore


class ProbeOutcome(Document):
    """What the store did when it was tried at creation."""

    conditional_put: bool
    conditional_swap: bool
    read_after_write: bool


class Root(Document):
    """The repository's identity."""

    format: int = FORMAT_MAJOR
    repository_id: str
    created_ms: int
    tool: str
    probe: ProbeOutcome


def read_root(store: ObjectStore) -> Root:
    """Raises `NotFoundError` when the prefix holds no repository, `DamagedError` when it lost its root."""
    try:
        data, _ = store.get(ROOT_KEY)
    except ObjectNotFoundError:
        if next(iter(store.list("meta/")), None) is not None:
            raise DamagedError(
                f"{ROOT_KEY} is missing from {store.location}, yet meta/ is there", key=ROOT_KEY
            ) from None
        raise NotFoundError(f"There is no repository at {store.location}.") from None
    return Root.from_json(unseal(data, key=ROOT_KEY), key=ROOT_KEY)


def open_or_create_root(store: ObjectStore, *, now_ms: int, tool: str) -> Root:
    """The repository's root, created when the prefix is empty of one.

    Raises `ConfigError` for a store that ignores write conditions, since two writers would overwrite each other.
    """
    try:
        return read_root(store)
    except NotFoundError:
        pass
    outcome = ProbeOutcome.model_validate(probe(store).to_json())
    if not (outcome.conditional_put and outcome.conditional_swap and outcome.read_after_write):
        raise ConfigError(
            f"{store.location} ignores write conditions or shows writes late ({_weakness(outcome)}): "
            "two writers could overwrite each other there. Use another store."
        )
    root = Root(repository_id=new_id() + new_id(), created_ms=now_ms, tool=tool, probe=outcome)
    data = seal(root.to_json())
    try:
        store.put_if_absent(ROOT_KEY, [data], sha256=sha256_hex(data))
    except ObjectExistsError:
        return read_root(store)
    return root


def _weakness(outcome: ProbeOutcome) -> str:
    return ", ".join(name.replace("_", " ") + " failed" for name, held in outcome.to_json().items() if held is False)
