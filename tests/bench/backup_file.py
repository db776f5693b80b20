"""Files for backups that the benchmark starts with other keys than the usual ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.repository.repository import Repository
from tasks.repository.set_log import SetLog
from tasks.store.local.local_store import LocalStore
from tests.support.round_trip import now_ms

SET = "bench"


@dataclass(frozen=True, slots=True)
class BackupFile:
    """The file of a backup into a folder beside it."""

    path: Path

    @classmethod
    def write(
        cls, folder: Path, name: str, bootstrap_servers: Sequence[str], topics: Sequence[str], **sections: object
    ) -> BackupFile:
        """Write `name`.yaml with these sections beside the usual ones. The repository is the folder `name`."""
        source = {"bootstrap_servers": list(bootstrap_servers), "topics": {"include": list(topics)}}
        storage = {"backend": "filesystem", "path": str(folder / name)}
        file = cls(folder / f"{name}.yaml")
        document = {"mode": "backup", "backup_id": SET, "source": source, "storage": storage, **sections}
        file.path.write_text(json.dumps(document))  # JSON is YAML
        return file

    @property
    def repository(self) -> Path:
        """The folder of the repository."""
        return self.path.with_suffix("")

    @property
    def command(self) -> list[str]:
        """The arguments of `kafka-backup`."""
        return ["backup", "--config", str(self.path)]

    def store(self) -> LocalStore:
        """The store in the folder, which has to exist."""
        return LocalStore(self.repository, create=False)

    def log(self) -> SetLog:
        """The log of the set."""
        return Repository.open(self.store(), now_ms).log(SET)
