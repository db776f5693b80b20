"""Heads and checkpoints: caches of the log. Damaged ones are passed over; intact ones that contradict it are damage."""

from __future__ import annotations

import zstandard

from tasks.model.errors import DamagedError, KafkaBackupError, ObjectNotFoundError, UnsupportedError
from tasks.repository.document import FORMAT_MAJOR, Document, seal, sha256_hex, unseal
from tasks.repository.names import checkpoint_key, head_key
from tasks.repository.set_state import SetState
from tasks.repository.stored import decompress_object
from tasks.store.protocol import ObjectStore

CHECKPOINT_EVERY = 100
"""Entries between two checkpoints."""


class Head(Document):
    """Where the log ended when someone last looked: its last entry and that entry's SHA-256."""

    format: int = FORMAT_MAJOR
    seq: int
    entry_sha256: str


class Checkpoint(Document):
    """The folded state after entry `state.seq`."""

    format: int = FORMAT_MAJOR
    state: SetState


def read_head(store: ObjectStore, set_name: str) -> Head | None:
    """The head, or None when there is none or it is not readable."""
    key = head_key(set_name)
    try:
        return Head.from_json(unseal(store.get(key)[0], key=key), key=key)
    except (ObjectNotFoundError, DamagedError, UnsupportedError):
        return None


def write_head(store: ObjectStore, set_name: str, state: SetState) -> None:
    """Overwrite the head. A failure is no failure of the change that it follows: the log is the truth."""
    if state.tip is None:
        return
    try:
        store.put(head_key(set_name), [seal(Head(seq=state.seq, entry_sha256=state.tip).to_json())])
    except KafkaBackupError:
        return


def read_checkpoint(store: ObjectStore, set_name: str, seq: int) -> SetState | None:
    """The state that the checkpoint at `seq` holds, or None when there is none or it is not readable."""
    key = checkpoint_key(set_name, seq)
    try:
        data = decompress_object(store.get(key)[0], key=key)
        state = Checkpoint.from_json(unseal(data, key=key), key=key).state
    except (ObjectNotFoundError, DamagedError, UnsupportedError):
        return None
    return state if state.seq == seq else None


def write_checkpoint(store: ObjectStore, set_name: str, state: SetState) -> None:
    """Write one when it is due. A cache: a lost race or a failing store changes nothing."""
    if state.seq == 0 or state.seq % CHECKPOINT_EVERY:
        return
    data = zstandard.ZstdCompressor(level=6, write_checksum=True).compress(seal(Checkpoint(state=state).to_json()))
    try:
        store.put_if_absent(checkpoint_key(set_name, state.seq), [data], sha256=sha256_hex(data))
    except KafkaBackupError:
        return


def latest_checkpoint(store: ObjectStore, set_name: str, head: Head | None) -> SetState:
    """The state to begin reading from: the newest readable checkpoint at or below the head, else the empty one."""
    due = (head.seq if head else 0) // CHECKPOINT_EVERY * CHECKPOINT_EVERY
    for seq in range(due, 0, -CHECKPOINT_EVERY):
        state = read_checkpoint(store, set_name, seq)
        if state is not None:
            return state
    return SetState()
