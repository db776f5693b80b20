"""The command, run in a folder with one file that has a `storage` section."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.made_backup import SET

COMMAND = str(Path(sys.executable).with_name("kafka-backup"))


class StoreShell:
    """A folder with one file, and the command run in it. `secrets` are texts that no sentence shows."""

    def __init__(self, folder: Path, *, secrets: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.secrets = secrets

    def run(
        self, command: str, section: Mapping[str, object], code: int = 0, /, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it with a file that has this section; it must end with `code`."""
        source = {
            "bootstrap_servers": ["127.0.0.1:1"],
            "connection": {"connect_timeout_ms": 1_000},
            "topics": {"include": ["orders"]},
        }
        document = {"mode": "backup", "backup_id": SET, "source": source, "storage": section}
        (self.folder / "file.yaml").write_text(json.dumps(document))
        done = self.bare(f"{command} --config file.yaml", **variables)
        assert code == done.returncode, done.stderr
        return done

    def bare(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it as it stands."""
        return subprocess.run(
            [COMMAND, *command.split()],
            cwd=self.folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def sentence(self, section: Mapping[str, object], code: int, command: str = "list", **variables: str) -> str:
        """What the command says when it ends with `code`: one sentence, without a secret."""
        done = self.run(command, section, code, **variables)
        [line] = [line for line in done.stderr.splitlines() if line]
        for secret in self.secrets:
            assert secret not in done.stdout + done.stderr
        return line.removeprefix("kafka-backup: ")
