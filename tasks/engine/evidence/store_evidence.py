"""Stores the evidence of a drill: the report, its envelope, its page, and a note in the log of the set."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasks.engine.drilling.drill_result import DrillResult
from tasks.engine.evidence.build_report import build_report
from tasks.engine.evidence.canonical import report_bytes
from tasks.engine.evidence.dsse import sign_payload
from tasks.engine.evidence.evidence_context import ConfiguredEvidence, EvidenceContext
from tasks.engine.evidence.report import DrillReport, Gap, ReadObject, Unknown
from tasks.engine.evidence.report_page import render_page
from tasks.engine.evidence.signing_keys import SigningKey
from tasks.engine.evidence.stored_reports import ENVELOPE, PAGE, REPORT, StoredReport, history_before, load_report
from tasks.engine.evidence.this_machine import build_digest, this_machine
from tasks.model.errors import KafkaBackupError, NotFoundError, ObjectExistsError, RefusedError
from tasks.repository.document import sha256_hex
from tasks.repository.entries import DrillNote, NoteEntry, PartitionNote, PointEntry
from tasks.repository.names import report_key
from tasks.repository.repository import Repository, tool_name
from tasks.repository.set_state import SetState
from tasks.store.protocol import ObjectStore
from tasks.store.settings import StoreSettings

MOST_OBJECTS = 10_000
"""A report lists at most so many objects."""


@dataclass(frozen=True, slots=True)
class ObjectLock:
    """How the store locks immutable objects at their write: the mode, and for how long."""

    mode: str
    lock_ms: int

    @classmethod
    def of(cls, storage: StoreSettings) -> ObjectLock | None:
        """The lock that the settings of a store ask for. None if they ask for none."""
        if storage.lock_mode is None or storage.lock_ms is None:
            return None
        return cls(storage.lock_mode, storage.lock_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvidence:
    """Where the evidence of a drill is. `sha256` is that of `report.json`. `keys` are those of all its objects."""

    report: DrillReport
    sha256: str
    keys: tuple[str, ...]
    is_signed: bool


def evidence_context(repository: Repository, configured: ConfiguredEvidence | None = None) -> EvidenceContext:
    """What is known about the machine, the program and the store, besides what the configuration states. The caller
    adds what it knows with `dataclasses.replace`."""
    return EvidenceContext(
        configured=configured or ConfiguredEvidence(),
        tool=tool_name(),
        build_digest=build_digest(),
        machine=this_machine(),
        store=repository.store.location,
    )


def store_evidence(
    repository: Repository,
    result: DrillResult,
    context: EvidenceContext,
    key: SigningKey | None,
    lock: ObjectLock | None = None,
) -> StoredEvidence:
    """Store the evidence of a drill, signed if there is a key. `store_evidence` itself fills in what `context` contains
    about earlier drills, the gaps of the point (if it has none), the objects, the log, the lock and the key.

    May be called again with the same result, context and key: it then stores what is missing. Raises `RefusedError` if
    the drill has another report already, because a report is never changed, `NotFoundError` if there is no such set,
    and the errors of the store and the log.
    """
    store, set_name, drill = repository.store, result.data.set_name, result.drill
    repository.state(set_name)
    report = _report(repository, result, _with_results(context, result, lock), key)
    data = report_bytes(report)
    is_new = _put_once(store, report_key(set_name, drill, REPORT), data)
    keys = [report_key(set_name, drill, REPORT)]
    if key is not None:
        keys.append(report_key(set_name, drill, ENVELOPE))
        _put_once(store, keys[-1], sign_payload(data, key))
    keys.append(report_key(set_name, drill, PAGE))
    _put_once(store, keys[-1], render_page(report, sha256_hex(data)))
    stored = StoredEvidence(report=report, sha256=sha256_hex(data), keys=tuple(keys), is_signed=key is not None)
    if is_new or not _has_note(repository, result, stored):
        _append_note(repository, result, stored)
    return stored


def _with_results(context: EvidenceContext, result: DrillResult, lock: ObjectLock | None) -> EvidenceContext:
    """The context with what the drill has established. The report's objects are locked when they are written, so their
    lock ends no earlier than that of an object from the start of the drill."""
    return replace(
        context,
        objects_read=_objects_read(result),
        log_chain=result.log_chain,
        lock_mode=None if lock is None else lock.mode,
        lock_until_ms=None if lock is None else result.times.started_ms + lock.lock_ms,
    )


def _objects_read(result: DrillResult) -> tuple[ReadObject, ...] | Unknown:
    if result.times.data_complete_ms is None:
        return Unknown(unknown="the drill ended before it had read all objects")
    objects = sorted(result.objects.items())
    if len(objects) > MOST_OBJECTS:
        digest = sha256_hex("".join(f"{sha256}  {key}\n" for key, sha256 in objects).encode())
        return Unknown(
            unknown=f"{len(objects):,} objects were read, too many to list; the SHA-256 over their lines "
            f"`<SHA-256>  <key>`, in the order of the keys, is {digest}"
        )
    return tuple(ReadObject(key=key, sha256=sha256) for key, sha256 in objects)


def _report(
    repository: Repository, result: DrillResult, context: EvidenceContext, key: SigningKey | None
) -> DrillReport:
    """The report to store. If the drill has a report already, the new one says the same as it about earlier drills,
    which can have got more reports since."""
    history = history_before(repository.store, result.data.set_name, result.drill)
    report = build_report(
        result,
        replace(
            context,
            gaps=_gaps(repository, result) if context.gaps is None else context.gaps,
            previous=history.previous,
            last_drills=history.last_drills,
            tested_before=history.tested,
            key_id=None if key is None else key.key_id,
        ),
    )
    earlier = _stored_report(repository, result)
    return report if earlier is None else _with_history_of(report, earlier.report)


def _stored_report(repository: Repository, result: DrillResult) -> StoredReport | None:
    try:
        return load_report(repository.store, result.data.set_name, result.drill)
    except NotFoundError:
        return None


def _with_history_of(report: DrillReport, earlier: DrillReport) -> DrillReport:
    identity = report.identity.model_copy(update={"previous_report": earlier.identity.previous_report})
    tested = report.tested.model_copy(update={"coverage": earlier.tested.coverage})
    objectives = report.objectives.model_copy(update={"last_drills": earlier.objectives.last_drills})
    return report.model_copy(update={"identity": identity, "tested": tested, "objectives": objectives})


def _put_once(store: ObjectStore, key: str, data: bytes) -> bool:
    """Store an object. Returns False if it is there already. Raises `RefusedError` if it has other bytes."""
    try:
        store.put_if_absent(key, [data], sha256=sha256_hex(data))
    except ObjectExistsError:
        found, _ = store.get(key)
        if found != data:
            raise RefusedError(
                f"{key} exists with other contents. Evidence is never changed. Run a new drill."
            ) from None
        return False
    return True


def _gaps(repository: Repository, result: DrillResult) -> tuple[Gap, ...] | None:
    """The gaps, failures, trimmed and truncated ranges that the point's run recorded. None if the point cannot be
    read: the evidence of a failed drill is stored too."""
    try:
        entry = repository.log(result.data.set_name).read_entry(result.data.point)
    except KafkaBackupError:
        return None
    if entry is None or not isinstance(entry[0], PointEntry):
        return None
    point = entry[0]
    return tuple(_gap(note) for note in (*point.gaps, *point.failures, *point.trimmed, *point.truncated))


def _gap(note: PartitionNote) -> Gap:
    whole = Unknown(unknown="the whole partition is concerned")
    return Gap(
        topic=note.topic,
        partition=note.partition,
        first=whole if note.first is None else note.first,
        next=whole if note.next is None else note.next,
        reason=note.reason,
    )


def _has_note(repository: Repository, result: DrillResult, stored: StoredEvidence) -> bool:
    """Whether the log names this report. Reads the log backwards until the start of the drill."""
    log = repository.log(result.data.set_name)
    for seq in range(log.state().seq, 0, -1):
        found = log.read_entry(seq)
        if found is None or found[0].time_ms < result.times.started_ms:
            return False
        entry = found[0]
        if isinstance(entry, NoteEntry) and entry.drill is not None and entry.drill.report_sha256 == stored.sha256:
            return True
    return False


def _append_note(repository: Repository, result: DrillResult, stored: StoredEvidence) -> None:
    set_name, point, verdict = result.data.set_name, result.data.point, stored.report.result.verdict
    drill = DrillNote(
        id=result.drill,
        verdict=verdict,
        report=report_key(set_name, result.drill, REPORT),
        report_sha256=stored.sha256,
        tier=result.data.tier,
    )

    def build(state: SetState) -> NoteEntry:
        return NoteEntry(
            **repository.next_change(set_name, state),
            point=point,
            text=f"restore drill {result.drill} of {set_name}@{point}: {verdict}",
            drill=drill,
        )

    repository.log(set_name).append(build)
