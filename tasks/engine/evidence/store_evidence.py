"""Stores the evidence of a drill: the report, its envelope, its page, and a note in the log of the set."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasks.engine.drilling.drill_result import DrillResult
from tasks.engine.evidence.build_report import build_report
from tasks.engine.evidence.canonical import report_bytes
from tasks.engine.evidence.dsse import sign_payload
from tasks.engine.evidence.evidence_context import ConfiguredEvidence, EvidenceContext
from tasks.engine.evidence.report import DrillReport, Gap, Unknown
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
    repository: Repository, result: DrillResult, context: EvidenceContext, key: SigningKey | None
) -> StoredEvidence:
    """Store the evidence of a drill, signed if there is a key. `store_evidence` itself fills in what `context` contains
    about earlier drills, the gaps of the point (if it has none) and the key.

    May be called again with the same result, context and key: it then stores what is missing. Raises `RefusedError` if
    the drill has another report already, because a report is never changed, `NotFoundError` if there is no such set,
    and the errors of the store and the log.
    """
    store, set_name, drill = repository.store, result.data.set_name, result.drill
    repository.state(set_name)
    report = _report(repository, result, context, key)
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
    )

    def build(state: SetState) -> NoteEntry:
        return NoteEntry(
            **repository.next_change(set_name, state),
            point=point,
            text=f"restore drill {result.drill} of {set_name}@{point}: {verdict}",
            drill=drill,
        )

    repository.log(set_name).append(build)
