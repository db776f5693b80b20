"""Tests whether a store does all that the commit protocol needs, before a repository is created in it."""

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
"""The prefix of the probe's keys. No object of a repository has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The promises that the store kept.

    conditional_put: the second put-if-absent of a key was refused, and the object kept the bytes of the first one.
    conditional_swap: a swap with the current version succeeded; swaps with an old version and with "no object" were
        refused.
    read_after_write: a read after each write returned the written bytes.
    reasons: the store's errors for the promises that it did not keep. Empty if it kept all, or ignored a condition
        without an error.
    """

    conditional_put: bool
    conditional_swap: bool
    read_after_write: bool
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, bool]:
        """The three booleans by name, as `repository.json` stores them."""
        return {
            "conditional_put": self.conditional_put,
            "conditional_swap": self.conditional_swap,
            "read_after_write": self.read_after_write,
        }


def probe(store: ObjectStore) -> ProbeResult:
    """Test the store with random keys under `PROBE_PREFIX`. The keys are deleted at the end, also after an error.

    A result is False if the store ignored a condition, or refused it with an error that a retry cannot solve. Raises
    `AccessError`, retryable errors, `StoreFullError`, and every error of a write without a condition. If the
    credentials are not allowed to delete, the keys stay; no document refers to them.
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
    """Write an object without a condition. Errors of this write are raised and are not results. The key is added to
    `written` if the object exists or can exist, so that it is deleted."""
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
    # Both bodies have the same length and are written without a pause. So a version that consists only of the size and
    # a rounded time stays the same, and the test finds this.
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
