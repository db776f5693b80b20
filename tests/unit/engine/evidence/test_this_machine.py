"""The machine and the program as a report names them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tasks.engine.evidence.this_machine import build_digest, this_machine

ROOT = Path(__file__).resolve().parents[4]


def test_the_printed_command_gives_the_digest_of_the_source_files() -> None:
    [command] = re.findall(r"^\$ (find tasks .*)$", (ROOT / "docs" / "EVIDENCE.md").read_text(), re.MULTILINE)
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

    assert f"{build_digest()}  -\n" == done.stdout


def test_the_machine_is_this_process() -> None:
    machine = this_machine()

    assert (os.uname().nodename, os.getpid()) == (machine.host, machine.process_id)
