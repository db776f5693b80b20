"""Does this store do what the commit protocol rests on? Asked once, before a repository is created in it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256

from tasks.model.errors import AccessError, ObjectChangedError, ObjectExistsError, StoreError
from tasks.store.protocol import ObjectStore

PROBE_PREFIX = "probe/"
"""Reserved: nothing under it is part of a repository."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What the store did.

    conditional_put: the second put-if-absent of a key was refused, and the first one's bytes stayed.
    conditional_swap: swaps against a stale version and against "no object" were refused, a current one was not.
    read_after_write: a read after each write saw that write.
    """

    conditional_put: bool
    conditional_swap: bool
    read_after_write: bool

    def to_json(self) -> dict[str, bool]:
        """The three answers by name."""
        return asdict(self)


def probe(store: ObjectStore) -> ProbeResult:
    """Try the store under random keys of `PROBE_PREFIX`, and delete them.

    A store that ignores a condition, or answers it with a final error, gets False; errors of access and of
    availability are raised. What stays when deleting is not permitted is named by nothing.
    """
    name = f"{PROBE_PREFIX}{secrets.token_hex(8)}"
    put_key, swap_key, read_key = f"{name}-put", f"{name}-swap", f"{name}-read"
    try:
        return ProbeResult(
            conditional_put=_holds(lambda: _refuses_second_put(store, put_key)),
            conditional_swap=_holds(lambda: _refuses_stale_swap(store, swap_key)),
            read_after_write=_holds(lambda: _reads_at_once(store, read_key)),
        )
    finally:
        with contextlib.suppress(AccessError, StoreError):
            store.delete([put_key, swap_key, read_key])


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except StoreError as error:
        if error.retryable:
            raise
        return False


def _refuses_second_put(store: ObjectStore, key: str) -> bool:
    _put_if_absent(store, key, b"first")
    try:
        _put_if_absent(store, key, b"second")
    except ObjectExistsError:
        return store.get(key)[0] == b"first"
    return False


def _refuses_stale_swap(store: ObjectStore, key: str) -> bool:
    # Bodies of one length, written at once: versions made of a size and a coarse time would not tell them apart.
    first = store.compare_and_swap(key, [b"1"], expected=None).version
    store.compare_and_swap(key, [b"2"], expected=first)
    for stale in (first, None):
        try:
            store.compare_and_swap(key, [b"3"], expected=stale)
        except ObjectChangedError:
            continue
        return False
    return store.get(key)[0] == b"2"


def _reads_at_once(store: ObjectStore, key: str) -> bool:
    _put_if_absent(store, key, b"first")
    saw_first = store.get(key)[0] == b"first"
    store.put(key, [b"other"])
    return saw_first and store.get(key)[0] == b"other"


def _put_if_absent(store: ObjectStore, key: str, data: bytes) -> None:
    store.put_if_absent(key, [data], sha256=sha256(data).hexdigest())
