"""The command `kafka-backup unlock`: shows the owner of a set's lease, and breaks the lease if its owner does not renew
it."""

from __future__ import annotations

from pathlib import Path

from tasks.cli.exit_codes import OK
from tasks.cli.inputs import open_repository
from tasks.cli.session import Session
from tasks.model.errors import ConfigError
from tasks.repository.leases import LeaseRecord, acquire, read_lease
from tasks.repository.names import capture_lease_key, check_set_name
from tasks.repository.points import PointReference


def run_unlock(session: Session, config: Path | None, storage: str | None, backup_id: str | None, *, yes: bool) -> int:
    """Print who holds the lease of a set, and with `yes` break it. Returns the exit code.

    Raises `LockedError` if the owner renews the lease while this command watches it: then the owner is alive.
    """
    repository, set_of_file = open_repository(session, config, storage)
    name = backup_id or set_of_file
    if name is None:
        raise ConfigError("Name the backup set: --backup-id SET.")
    set_name = check_set_name(PointReference.parse(name).set_name)
    key = capture_lease_key(set_name)
    record = read_lease(repository.store, key)
    if record is None or record.is_released:
        session.print(f"{set_name} is not locked.")
        return _done(session, set_name, None, is_broken=False)
    if not yes:
        session.print(f"{_owner_text(set_name, record)} Add --yes to break the lease if that writer is dead.")
        return _done(session, set_name, record, is_broken=False)
    session.log(f"Watching the lease of {set_name} for {record.ttl_ms / 1000:g} s to see whether its owner is alive.")
    acquire(repository.store, key, stop=session.stop).release()
    session.print(f"{_owner_text(set_name, record)} The writer did not renew the lease, so the lease is broken now.")
    if record.run is not None:
        session.print(f"The next backup of {set_name} finishes run {record.run} first, if it has no point yet.")
    return _done(session, set_name, record, is_broken=True)


def _owner_text(set_name: str, record: LeaseRecord) -> str:
    return f"{set_name} is locked by writer {record.writer} for run {record.run or 'none'}."


def _done(session: Session, set_name: str, record: LeaseRecord | None, *, is_broken: bool) -> int:
    owner = None
    if record is not None:
        owner = {"owner": record.owner, "run": record.run, "host": record.host, "process": record.process}
    session.print_json({"set": set_name, "locked_by": owner, "is_broken": is_broken})
    return OK
