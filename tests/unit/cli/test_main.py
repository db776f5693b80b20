"""Start-up of the command: which modules it imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.store.local.local_store import LocalStore
from tests.support.made_backup import SET, back_up, make_repository
from tests.support.made_logs import many_logs

SDKS = ("confluent_kafka", "boto3", "botocore", "prefect")


@pytest.mark.parametrize("arguments", [("list",), ("list", "--restores"), ("describe", "--backup-id", SET)])
def test_commands_that_read_a_folder_import_no_sdk_of_kafka_or_s3(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    back_up(make_repository(LocalStore(tmp_path, create=True)), many_logs())
    code = (
        "import sys\n"
        "from tasks.cli.main import main\n"
        f"sys.argv = ['kafka-backup', *{arguments!r}, '--storage', 'file://{tmp_path}']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as ended:\n"
        f"    print(ended.code, [name for name in {SDKS!r} if name in sys.modules])\n"
    )
    assert "0 []" == _stdout(code).splitlines()[-1]


def test_the_entry_point_imports_no_command_and_no_heavy_library() -> None:
    code = (
        "import sys, tasks.cli.main\n"
        "allowed = {'main', 'options', 'session', 'signals', 'exit_codes'}\n"
        "print(sorted(name for name in sys.modules if name.startswith('tasks.cli.')\n"
        "             and name.removeprefix('tasks.cli.') not in allowed))\n"
        "print([name for name in ('pydantic', 'yaml', 'rich', 'zstandard', 'kafka') if name in sys.modules])\n"
    )
    assert "[]\n[]\n" == _stdout(code)


def _stdout(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
