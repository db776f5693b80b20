"""Tests whether a store keeps the promises that the commit protocol needs, before a repository is created in it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from tasks.model.errors import (
    AccessError,
    ObjectChangedError,
    ObjectExistsError,
    OutcomeUnknownError,
    StoreError,
    StoreFullError,
)
from tasks.store.protocol import ObjectStore

PROBE_PREFIX = "probe/"
"""Reserved for the probe: no object of a repository has this prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """Which promises the store kept.

    conditional_put: the second put-if-absent of a key was refused, and the object kept the bytes of the first.
    conditional_swap: swaps against an old version and against "no object" were refused, and a current one succeeded.
    read_after_write: a read after each write returned the written bytes.
    reasons: the store's own errors for the promises that it did not keep; empty if it silently did something else.
    """

    conditional_put: bool
    conditional_swap: bool
    read_after_write: bool
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, bool]:
        """The three results by name."""
        return {
            "conditional_put": self.conditional_put,
            "conditional_swap": self.conditional_swap,
            "read_after_write": self.read_after_write,
        }


def probe(store: ObjectStore) -> ProbeResult:
    """Tests the store with random keys under `PROBE_PREFIX`, and deletes them, also when it raises.

    A result is False when the store ignored a condition or refused it with a final error. Errors of access and of
    availability, and a store that takes no writes at all or is full, are raised. Without the permission to delete, the
    keys stay; nothing refers to them.
    """
    name = f"{PROBE_PREFIX}{secrets.token_hex(8)}"
    put_key, swap_key, read_key = f"{name}-put", f"{name}-swap", f"{name}-read"
    reasons: list[str] = []
    keys: list[str] = []

    def succeeds(check: Callable[[ObjectStore, str], bool], key: str) -> bool:
        keys.append(key)
        try:
            return check(store, key)
        except StoreError as error:
            if isinstance(error, StoreFullError) or error.retryable:
                raise
            reasons.append(str(error))
            return False

    try:
        _check_writable(store, read_key, keys)
        return ProbeResult(
            read_after_write=succeeds(_reads_last_write, read_key),
            conditional_put=succeeds(_refuses_second_put, put_key),
            conditional_swap=succeeds(_refuses_stale_swap, swap_key),
            reasons=tuple(dict.fromkeys(reasons)),
        )
    finally:
        if keys:
            with contextlib.suppress(AccessError, StoreError):
                store.delete(keys)


def _check_writable(store: ObjectStore, key: str, written: list[str]) -> None:
    """A write without any condition. Its errors are not results, and after a failure nothing has to be deleted unless
    the outcome is unknown."""
    try:
        store.put(key, [b"x"])
    except OutcomeUnknownError:
        written.append(key)
        raise
    written.append(key)


def _refuses_second_put(store: ObjectStore, key: str) -> bool:
    _put_if_absent(store, key, b"first")
    try:
        _put_if_absent(store, key, b"second")
    except ObjectExistsError:
        return store.get(key)[0] == b"first"
    return False


def _refuses_stale_swap(store: ObjectStore, key: str) -> bool:
    # Bodies of one length without a pause between the writes: versions of size and coarse time would be equal.
    first = store.compare_and_swap(key, [b"1"], expected=None).version
    store.compare_and_swap(key, [b"2"], expected=first)
    for stale in (first, None):
        try:
            store.compare_and_swap(key, [b"3"], expected=stale)
        except ObjectChangedError:
            continue
        return False
    return store.get(key)[0] == b"2"


def _reads_last_write(store: ObjectStore, key: str) -> bool:
    store.put(key, [b"first"])
    saw_first = store.get(key)[0] == b"first"
    store.put(key, [b"other"])
    return saw_first and store.get(key)[0] == b"other"


def _put_if_absent(store: ObjectStore, key: str, data: bytes) -> None:
    store.put_if_absent(key, [data], sha256=sha256(data).hexdigest())
