"""Validates a set's log: reads it from its first entry on, and compares it with the head, the checkpoints and a
listing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.engine.validation.damage import DamageFinding, of_error, of_object
from tasks.model.errors import DamagedError, NotFoundError
from tasks.repository.hints import checkpoint_seqs, read_checkpoint
from tasks.repository.names import checkpoint_key, log_key
from tasks.repository.points import PointReference, choose_point
from tasks.repository.set_log import SetLog
from tasks.repository.set_state import SetState, apply


@dataclass(frozen=True, slots=True)
class LogReading:
    """The state after the readable part of the log, and the findings about the log."""

    state: SetState
    findings: tuple[DamageFinding, ...]


def read_whole_log(log: SetLog) -> LogReading:
    """Read the log from entry 1 on, and compare the head and every checkpoint with it.

    A damaged head or checkpoint is ignored. An intact one that contradicts the log is a finding. If the chain is broken
    and a later checkpoint exists, the state is the one that other readers get from that checkpoint. Raises
    `UnsupportedError` if a later version wrote an entry.
    """
    log = log.without_memory()
    findings: list[DamageFinding] = []
    checkpoints = set(checkpoint_seqs(log.store, log.set_name))  # listed before the log, which only grows
    walked = SetState()
    try:
        for walked in _states(log):
            if walked.seq in checkpoints:
                findings += _checkpoint_findings(log, walked)
    except DamagedError as error:
        findings.append(of_error(error))
    seen = walked
    try:
        seen = log.state()
        log.check_continuous()
    except DamagedError as error:
        findings.append(of_error(error))
    if seen.seq > walked.seq and not findings and log.read_entry(walked.seq + 1) is None:
        findings.append(of_object(log_key(log.set_name, walked.seq + 1), "it is missing, although later entries exist"))
    findings += [_beyond(log, seq) for seq in sorted(checkpoints) if seq > max(walked.seq, seen.seq)]
    return LogReading(max(walked, seen, key=lambda state: state.seq), tuple(dict.fromkeys(findings)))


def choose_readable(log: SetLog, reference: PointReference) -> int:
    """The seq of the point that the reference selects. The whole log is read only if the state is damaged or does not
    contain the point.

    Raises `NotFoundError` if there is no such point, or `DamagedError` if the log is damaged, because the damage can
    hide the point.
    """
    try:
        return choose_point(log.state(), reference)
    except (NotFoundError, DamagedError):
        return _choose(read_whole_log(log), reference)


def _choose(reading: LogReading, reference: PointReference) -> int:
    try:
        return choose_point(reading.state, reference)
    except NotFoundError:
        if reading.findings:
            raise DamagedError(str(reading.findings[0]), key=reading.findings[0].object) from None
        raise


def _states(log: SetLog) -> Iterator[SetState]:
    state = SetState()
    while (found := log.read_entry(state.seq + 1)) is not None:
        state = apply(state, *found)
        yield state


def _checkpoint_findings(log: SetLog, state: SetState) -> list[DamageFinding]:
    found = read_checkpoint(log.store, log.set_name, state.seq)
    if found is None or found == state:
        return []
    return [of_object(checkpoint_key(log.set_name, state.seq), "it differs from the state of the log at that entry")]


def _beyond(log: SetLog, seq: int) -> DamageFinding:
    return of_object(checkpoint_key(log.set_name, seq), "it is beyond the end of the log: entries are missing")
