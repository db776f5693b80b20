"""Reads the reports of a repository: which ones there are, one of them, and what a new report says about earlier
ones."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from tasks.engine.evidence.build_report import HISTORY
from tasks.engine.evidence.canonical import read_report
from tasks.engine.evidence.report import DrillReport, PastDrill, PreviousReport, Unknown
from tasks.model.errors import DamagedError, KafkaBackupError, NotFoundError, ObjectNotFoundError, UnsupportedError
from tasks.repository.document import sha256_hex
from tasks.repository.names import REPORTS, check_drill_id, check_set_name, report_key, report_part, report_prefix
from tasks.repository.sealed_objects import READS_BEFORE_DAMAGE
from tasks.store.protocol import ObjectStore

REPORT = "report.json"
ENVELOPE = "envelope.json"
PAGE = "report.html"


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report as it is stored. `sha256` is that of its bytes."""

    report: DrillReport
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The drills before a drill. `last_drills` are at most eleven, from the oldest to the newest, and `tested` the
    topics that they tested."""

    previous: PreviousReport | None
    last_drills: tuple[PastDrill, ...]
    tested: frozenset[str]


def drills_with_report(store: ObjectStore, set_name: str | None = None) -> dict[str, list[str]]:
    """The ids of the drills of each set that have a report, from the oldest to the newest. Takes one listing, of one
    set or of all sets. Raises `ConfigError` for a name that a set cannot have."""
    prefix = REPORTS if set_name is None else report_prefix(check_set_name(set_name))
    found: dict[str, list[str]] = defaultdict(list)
    for info in store.list(prefix):
        name, drill, part = report_part(info.key)
        if part == REPORT:
            found[name].append(drill)
    return dict(found)


def load_report(store: ObjectStore, set_name: str, drill: str) -> StoredReport:
    """One report. Takes one request. Raises `NotFoundError` if there is none, `DamagedError` if it is damaged,
    `UnsupportedError` if a later version wrote it, and `ConfigError` for an id that a drill cannot have."""
    key = report_key(check_set_name(set_name), check_drill_id(drill), REPORT)
    for attempt in range(1, READS_BEFORE_DAMAGE + 1):
        try:
            data, _ = store.get(key)
        except ObjectNotFoundError:
            raise NotFoundError(
                f"The drill {drill} of {set_name} has no report. `kafka-backup evidence list` shows the drills."
            ) from None
        try:
            return StoredReport(read_report(data, key=key), data, sha256_hex(data))
        except DamagedError:
            if attempt == READS_BEFORE_DAMAGE:
                raise
    raise AssertionError("unreachable")


def load_envelope(store: ObjectStore, set_name: str, drill: str) -> bytes:
    """The bytes of the envelope of a signed report. Nothing is verified. Takes one request. Raises `DamagedError` if it
    is missing."""
    key = report_key(set_name, drill, ENVELOPE)
    try:
        data, _ = store.get(key)
    except ObjectNotFoundError:
        raise DamagedError(f"{key} is missing, although the report is signed", key=key) from None
    return data


def newest_drill(store: ObjectStore, set_name: str) -> str:
    """The id of the newest drill of a set that has a report. Raises `NotFoundError` if there is none."""
    drills = drills_with_report(store, set_name).get(set_name)
    if not drills:
        raise no_report_error(set_name)
    return drills[-1]


def no_report_error(set_name: str) -> NotFoundError:
    """The error for a set without a report."""
    return NotFoundError(f"The set {set_name} has no report of a drill. `kafka-backup evidence list` shows all drills.")


def history_before(store: ObjectStore, set_name: str, drill: str) -> History:
    """What a report says about the drills before it. Takes one listing and at most eleven reads. An earlier report that
    is damaged, or that a later version wrote, is named and has no figures."""
    earlier = [one for one in drills_with_report(store, set_name).get(set_name, ()) if one < drill]
    past: list[PastDrill] = []
    tested: set[str] = set()
    for one in earlier[1 - HISTORY :]:
        try:
            stored = load_report(store, set_name, one)
        except (DamagedError, UnsupportedError) as error:
            past.append(_unreadable(store, set_name, one, error))
        else:
            past.append(_past(stored))
            tested |= {topic.topic for topic in stored.report.tested.topics}
    previous = PreviousReport(drill=past[-1].drill, sha256=past[-1].sha256) if past else None
    return History(previous=previous, last_drills=tuple(past), tested=frozenset(tested))


def _past(stored: StoredReport) -> PastDrill:
    report = stored.report
    return PastDrill(
        drill=report.identity.report_id,
        started_ms=report.when.started_ms,
        verdict=report.result.verdict,
        rto_ms=report.objectives.rto.achieved_ms,
        rpo_ms=report.objectives.rpo.achieved_ms,
        sha256=stored.sha256,
    )


def _unreadable(store: ObjectStore, set_name: str, drill: str, error: KafkaBackupError) -> PastDrill:
    data, _ = store.get(report_key(set_name, drill, REPORT))
    reason = Unknown(unknown=str(error))
    return PastDrill(
        drill=drill, started_ms=reason, verdict=reason, rto_ms=reason, rpo_ms=reason, sha256=sha256_hex(data)
    )
