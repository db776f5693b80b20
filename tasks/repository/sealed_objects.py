"""Stores and reads objects that are one sealed document. Decides how often a damaged one is read again."""

from __future__ import annotations

from typing import Final

from tasks.model.errors import DamagedError, ObjectNotFoundError
from tasks.repository.document import Document, DocumentT, open_sealed, seal, sha256_hex
from tasks.store.protocol import ObjectInfo, ObjectStore

READS_BEFORE_DAMAGE: Final = 2
"""The number of times that an object is read before it counts as damaged, because a byte can change during the
transfer, which plain http does not notice."""


def put_sealed(store: ObjectStore, key: str, document: Document) -> None:
    """Store a document that is never changed. Raises `ObjectExistsError` if the key exists, also if it holds the same
    bytes."""
    data = seal(document.to_json())
    store.put_if_absent(key, [data], sha256=sha256_hex(data))


def overwrite_sealed(store: ObjectStore, key: str, document: Document) -> None:
    """Store a document without a condition: a head or a pin, whose earlier version can be lost."""
    store.put(key, [seal(document.to_json())])


def swap_sealed(store: ObjectStore, key: str, document: Document, *, expected: str | None) -> ObjectInfo:
    """Replace the version `expected` of a document; None means that the key must not exist. Raises
    `ObjectChangedError` if the store has another version."""
    return store.compare_and_swap(key, [seal(document.to_json())], expected=expected)


def find_sealed(store: ObjectStore, key: str, kind: type[DocumentT]) -> DocumentT | None:
    """The document, or None if the key does not exist. Raises `DamagedError` with the key if it is damaged, and
    `UnsupportedError` if a later version wrote it."""
    for attempt in range(1, READS_BEFORE_DAMAGE + 1):
        try:
            data, _ = store.get(key)
        except ObjectNotFoundError:
            return None
        try:
            return open_sealed(data, kind, key=key)
        except DamagedError:
            if attempt == READS_BEFORE_DAMAGE:
                raise
    raise AssertionError("unreachable")


def get_sealed(store: ObjectStore, key: str, kind: type[DocumentT]) -> DocumentT:
    """The document. Raises `DamagedError` if it is missing or damaged, and `UnsupportedError` if a later version wrote
    it."""
    document = find_sealed(store, key, kind)
    if document is None:
        raise DamagedError(f"{key} is missing", key=key)
    return document
