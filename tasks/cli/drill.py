"""The command `kafka-backup drill`: carries out a restore drill, or removes what drills have left that died."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from tasks.cli.exit_codes import FAILED, OK
from tasks.cli.inputs import log_notes, open_storage
from tasks.cli.progress_bars import ProgressBar
from tasks.cli.session import Session, now_ms
from tasks.config.adapters import cluster_access
from tasks.config.load import load_drill
from tasks.config.models import DrillFile
from tasks.engine.drill import drill_locally, keep_evidence
from tasks.engine.drilling.drill_result import ChosenData
from tasks.engine.drilling.left_drills import clean_left_drills
from tasks.engine.evidence.signing_keys import SigningKey
from tasks.engine.evidence.store_evidence import ObjectLock
from tasks.engine.options import DrillOptions
from tasks.engine.run_context import ClusterContext
from tasks.model.errors import ConfigError
from tasks.reports.drill import chosen_text, drill_document, drill_lines, evidence_document, evidence_line, left_lines
from tasks.repository.names import new_run_id


def run_drill(session: Session, config: Path, *, only_clean: bool) -> int:
    """Carry out the drill of the file. With `only_clean` remove only what earlier drills have left. Returns the exit
    code: `FAILED` if the drill failed or something could not be removed."""
    requested_ms = now_ms()
    loaded = load_drill(config)
    log_notes(session, loaded.notes)
    file = loaded.file
    repository = open_storage(session, file.storage)
    cluster = cluster_access(file.target, session.report_wait)
    cluster.check_reachable(session.stop, is_writing=True)
    session.stops_gracefully = True
    context = ClusterContext(repository=repository, cluster=cluster, stop=session.stop)
    return _clean(session, context) if only_clean else _drill(session, context, file, requested_ms)


def _drill(session: Session, context: ClusterContext, file: DrillFile, requested_ms: int) -> int:
    key, options = _signing_key(file), drill_options(file)
    with ProgressBar(session) as bar:

        def chosen(data: ChosenData) -> None:
            session.log(chosen_text(data))
            bar.start("drilling", data.log_bytes)

        result = drill_locally(
            ClusterContext(repository=context.repository, cluster=context.cluster, stop=context.stop, progress=bar),
            file.backup_id,
            options,
            drill=new_run_id(now_ms()),
            requested_ms=requested_ms,
            bootstrap_servers=file.target.bootstrap_servers,
            chosen=chosen,
        )
    stored = keep_evidence(context.repository, result, options, key, ObjectLock.of(file.storage))
    for line in drill_lines(result):
        session.print(line)
    session.print(evidence_line(stored))
    session.print_json({**drill_document(result), "evidence": evidence_document(stored)})
    return OK if result.verdict == "passed" else FAILED


def _signing_key(file: DrillFile) -> SigningKey | None:
    """The key of the file, read before the drill begins. Raises `ConfigError` if it cannot be read or used."""
    path = file.drill.signing_key_file
    if path is None:
        return None
    try:
        return SigningKey.from_pem(Path(path).read_bytes(), name=path)
    except OSError as error:
        raise ConfigError(f"The signing key {path} cannot be read: {error.strerror}.") from None


def drill_options(file: DrillFile) -> DrillOptions:
    """The engine's options of the file."""
    return DrillOptions.model_validate({name: getattr(file.drill, name) for name in DrillOptions.model_fields})


def _clean(session: Session, context: ClusterContext) -> int:
    cleaned = clean_left_drills(context)
    for line in left_lines(cleaned):
        session.print(line)
    if not cleaned:
        session.print("No drill has left anything.")
    session.print_json({drill: asdict(done) for drill, done in cleaned.items()})
    return FAILED if any(done.problems for done in cleaned.values()) else OK
