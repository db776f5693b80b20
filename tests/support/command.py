"""The command in a folder of its own, with files that name a secured cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tasks.broker.auth.security import Security
from tasks.broker.raw.connection import ConnectionOptions

COMMAND = str(Path(sys.executable).with_name("kafka-backup"))


@dataclass(frozen=True)
class Ran:
    """How a command ended, and everything it said."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Both outputs."""
        return self.stdout + self.stderr


@dataclass(frozen=True, kw_only=True)
class Command:
    """Runs `kafka-backup` in `folder`, whose repository all its files name."""

    folder: Path

    def write_backup(self, connection: ConnectionOptions, topics: list[str], **options: object) -> None:
        """backup.yaml for the set `set`."""
        source = {**_cluster(connection), "topics": {"include": topics}}
        self._write("backup.yaml", {"mode": "backup", "backup_id": "set", "source": source, "backup": options})

    def write_restore(self, connection: ConnectionOptions, mapping: Mapping[str, str], **options: object) -> None:
        """restore.yaml of the newest point of `set`."""
        restore = {"topic_mapping": dict(mapping), **options}
        target = {**_cluster(connection), "topics": {"include": list(mapping)}}
        self._write("restore.yaml", {"mode": "restore", "backup_id": "set", "target": target, "restore": restore})

    def _write(self, name: str, document: dict[str, Any]) -> None:
        storage = {"backend": "filesystem", "path": str(self.folder / "repository")}
        # JSON is YAML.
        (self.folder / name).write_text(json.dumps({**document, "storage": storage}, indent=2), encoding="utf-8")

    def run(self, *arguments: str, code: int = 0, is_verbose: bool = False) -> Ran:
        """Run it; its exit code must be `code`, and there must be no traceback unless it was asked for."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            input="",
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert code == ran.code, ran.text
        assert is_verbose or "Traceback" not in ran.text
        return ran

    def back_up(self, *, code: int = 0) -> Ran:
        """`kafka-backup backup`"""
        return self.run("backup", "--config", "backup.yaml", code=code)

    def restore(self, *, code: int = 0) -> Ran:
        """`kafka-backup restore`, with the consent that purging topics asks for."""
        return self.run("restore", "--config", "restore.yaml", "--yes", code=code)


def _cluster(connection: ConnectionOptions) -> dict[str, Any]:
    return {"bootstrap_servers": list(connection.bootstrap_servers), "security": security_keys(connection.security)}


def security_keys(security: Security) -> dict[str, str]:
    """The section `security`, secrets and all."""
    values = security.model_dump(exclude_none=True)
    return {name: one.get_secret_value() if isinstance(one, SecretStr) else one for name, one in values.items()}
