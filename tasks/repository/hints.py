"""Heads and checkpoints: caches of the log. A damaged one is ignored. An intact one that contradicts the log is
damage."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.model.errors import DamagedError, KafkaBackupError, ObjectNotFoundError, UnsupportedError
from tasks.repository.compressed_objects import compress_object, decompress_object
from tasks.repository.document import FORMAT_MAJOR, Document, open_sealed, seal
from tasks.repository.names import checkpoint_key, checkpoint_prefix, head_key
from tasks.repository.sealed_objects import find_sealed, overwrite_sealed
from tasks.repository.set_state import SetState, fold
from tasks.store.protocol import ObjectStore

CHECKPOINT_EVERY = 100
"""The number of log entries between two checkpoints."""


class Head(Document):
    """An earlier end of the log: its last entry at that time, and this entry's SHA-256."""

    format: int = FORMAT_MAJOR
    seq: int
    entry_sha256: str


class Checkpoint(Document):
    """The state after entry `state.seq`."""

    format: int = FORMAT_MAJOR
    state: SetState


def read_head(store: ObjectStore, set_name: str) -> Head | None:
    """The head. None if it is missing, damaged or of a later version."""
    try:
        return find_sealed(store, head_key(set_name), Head)
    except (DamagedError, UnsupportedError):
        return None


def write_head(store: ObjectStore, set_name: str, state: SetState) -> None:
    """Overwrite the head. A failure is ignored, because the log is valid without it."""
    if state.tip is None:
        return
    try:
        overwrite_sealed(store, head_key(set_name), Head(seq=state.seq, entry_sha256=state.tip))
    except KafkaBackupError:
        return


def read_checkpoint(store: ObjectStore, set_name: str, seq: int) -> SetState | None:
    """The state in the checkpoint of entry `seq`. None if it is missing, damaged or of a later version.

    An older checkpoint can contain more closed runs than the state keeps; these are left out.
    """
    key = checkpoint_key(set_name, seq)
    try:
        data = decompress_object(store.get(key)[0], key=key)
        state = open_sealed(data, Checkpoint, key=key).state
    except (ObjectNotFoundError, DamagedError, UnsupportedError):
        return None
    return fold([], state) if state.seq == seq else None


def write_checkpoint(store: ObjectStore, set_name: str, state: SetState) -> None:
    """Store a checkpoint if one is due. A failure is ignored, because the log is valid without it."""
    if state.seq == 0 or state.seq % CHECKPOINT_EVERY:
        return
    data, digest = compress_object(seal(Checkpoint(state=state).to_json()))
    try:
        store.put_if_absent(checkpoint_key(set_name, state.seq), [data], sha256=digest)
    except KafkaBackupError:
        return


def checkpoint_seqs(store: ObjectStore, set_name: str) -> list[int]:
    """The seqs of all checkpoints that the store lists, in ascending order. One listing request returns the checkpoints
    of 100,000 log entries."""
    prefix = checkpoint_prefix(set_name)
    names = (info.key.removeprefix(prefix).partition(".")[0] for info in store.list(prefix))
    return sorted(int(name) for name in names if name.isdecimal())


def latest_checkpoint(store: ObjectStore, set_name: str, head: Head | None) -> SetState:
    """The state from which to begin reading: the newest readable checkpoint up to the head, or the empty state. Without
    a head the checkpoints are listed, because reading the log from its first entry can take very long."""
    for seq in _due(head) if head is not None else reversed(checkpoint_seqs(store, set_name)):
        state = read_checkpoint(store, set_name, seq)
        if state is not None:
            return state
    return SetState()


def _due(head: Head) -> Iterable[int]:
    return range(head.seq // CHECKPOINT_EVERY * CHECKPOINT_EVERY, 0, -CHECKPOINT_EVERY)
