"""The commands `kafka-backup state show`, `state diff` and `state export`: print what a point contains beyond records,
compare it with a live cluster or with another point, and write it for tools that own a cluster's configuration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from tasks.cli.exit_codes import INCOMPLETE, OK
from tasks.cli.inputs import find_point, log_notes, open_repository, open_storage
from tasks.cli.restore import restore_request
from tasks.cli.session import Session
from tasks.config.adapters import cluster_access
from tasks.config.load import load_job
from tasks.config.models import BackupFile, RestoreFile
from tasks.engine.cluster_state.differences import compare
from tasks.engine.cluster_state.live import live_source, live_target, restored_picture
from tasks.engine.cluster_state.picture import SECTIONS, ClusterPicture, Section, picture_of_point
from tasks.engine.run_context import ClusterContext
from tasks.engine.target.restore_plan import read_source
from tasks.model.errors import ConfigError
from tasks.reports.kafka_cli import kafka_cli_export
from tasks.reports.state import comparison_document, comparison_lines, state_document, state_lines
from tasks.reports.strimzi import strimzi_export
from tasks.reports.terraform import terraform_export
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint

EXPORTS: Mapping[str, Callable[[ClusterPicture, str], str]] = {
    "strimzi": strimzi_export,
    "terraform": terraform_export,
    "kafka-cli": kafka_cli_export,
}


def run_state_show(
    session: Session, config: Path | None, storage: str | None, backup_id: str | None, *, sections: Collection[Section]
) -> int:
    """Print the chosen sections of a point, all of them if none is chosen. Returns the exit code."""
    repository, set_of_file = open_repository(session, config, storage)
    point = find_point(session, repository, backup_id or set_of_file)
    picture, chosen = picture_of_point(point), sections or SECTIONS
    session.print("\n".join(state_lines(picture, chosen)).rstrip())
    session.print_json({"point": point.name, **state_document(picture, chosen)})
    return OK


def chosen_sections(**chosen: bool) -> list[Section]:
    """The sections whose option is given."""
    return [section for section in SECTIONS if chosen[section]]


def run_state_diff(
    session: Session, config: Path | None, storage: str | None, backup_id: str | None, *, other: str | None
) -> int:
    """Compare a point with the point `other`, or without it with the cluster that the file names. Returns `INCOMPLETE`
    if something differs or could not be compared. Raises `ConfigError` if there is neither another point nor a file."""
    if other is not None:
        repository, set_of_file = open_repository(session, config, storage)
        point, second = (
            find_point(session, repository, backup_id or set_of_file),
            find_point(session, repository, other),
        )
        return _print(session, point, picture_of_point(point), picture_of_point(second), second.name)
    if config is None:
        raise ConfigError("Name what to compare with: --with ID, or --config FILE with a source or target cluster.")
    loaded = load_job(config)
    log_notes(session, loaded.notes)
    file, repository = loaded.file, open_storage(session, loaded.file.storage)
    point = find_point(session, repository, backup_id or file.backup_id)
    cluster = cluster_access(file.source if isinstance(file, BackupFile) else file.target, session.report_wait)
    context = ClusterContext(repository=repository, cluster=cluster, stop=session.stop)
    captured, live = _with_cluster(context, file, point)
    return _print(session, point, captured, live, "the cluster")


def run_state_export(
    session: Session,
    config: Path | None,
    storage: str | None,
    backup_id: str | None,
    *,
    export_format: str,
    output: Path | None,
) -> int:
    """Write the state of a point for another tool, into `output` or on stdout. With a restore file the topics have the
    names of the target. Returns the exit code. Raises `ConfigError` for an unknown format, and if the file cannot be
    written."""
    if export_format not in EXPORTS:
        raise ConfigError(f"--format {export_format} is not known: give one of {', '.join(EXPORTS)}.")
    repository, set_of_file = open_repository(session, config, storage)
    point = find_point(session, repository, backup_id or set_of_file)
    picture = picture_of_point(point)
    if config is not None and isinstance(file := load_job(config).file, RestoreFile):
        picture = restored_picture(picture, _targets(repository, file, point))
    text = EXPORTS[export_format](picture, point.name)
    if output is None:
        session.print(text.rstrip("\n"))
    else:
        _write(output, text)
        session.log(f"{point.name} was written to {output}.")
    session.print_json({"point": point.name, "format": export_format, "text": text})
    return OK


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text)
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}.") from error


def _with_cluster(
    context: ClusterContext, file: BackupFile | RestoreFile, point: RestorePoint
) -> tuple[ClusterPicture, ClusterPicture]:
    """(the point, the live cluster). With a restore file the point is shown under the names of the target."""
    captured = picture_of_point(point)
    if isinstance(file, BackupFile):
        with context.admin() as admin:
            return captured, live_source(admin, file.source.topics, file.backup, captured)
    expected = restored_picture(captured, _targets(context.repository, file, point))
    with context.admin() as admin:
        return expected, live_target(admin, expected)


def _targets(repository: Repository, file: RestoreFile, point: RestorePoint) -> dict[str, list[str]]:
    """The target topics of each topic that a restore with this file would choose."""
    chosen = read_source(repository, point, restore_request(file)).chosen
    return {topic.state.topic: [topic.target] for topic in chosen}


def _print(
    session: Session, point: RestorePoint, before: ClusterPicture, after: ClusterPicture, name_of_after: str
) -> int:
    comparison = compare(before, after)
    for text in comparison_lines(comparison, before=point.name, after=name_of_after):
        session.print(text)
    session.print_json(comparison_document(comparison, before=point.name, after=name_of_after))
    return OK if comparison.is_equal else INCOMPLETE
