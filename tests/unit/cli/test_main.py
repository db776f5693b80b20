"""Start-up of the command: which modules it imports, and when the garbage collector is enabled."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.cli.main import main
from tasks.store.local.local_store import LocalStore
from tests.support.made_backup import SET, back_up, make_repository
from tests.support.made_logs import many_logs

COMMANDS = {
    "backup": ("backup", "run_backup", ("--config", "x.yaml")),
    "list": ("list_points", "run_list", ("--storage", "memory://x")),
    "describe": ("describe", "run_describe", ("--storage", "memory://x")),
    "validate": ("validate", "run_validate", ("--storage", "memory://x")),
    "validate-restore": ("restore", "run_restore", ("--config", "x.yaml")),
    "restore": ("restore", "run_restore", ("--config", "x.yaml")),
    "consolidate": ("consolidate", "run_consolidate", ("--storage", "memory://x")),
    "check": ("check", "run_check", ("--config", "x.yaml")),
    "drill": ("drill", "run_drill", ("--config", "x.yaml")),
    "prune": ("prune", "run_prune", ("--config", "x.yaml")),
    "label": ("label", "run_label", ("set@1", "a=b", "--storage", "memory://x")),
    "audit": ("audit", "run_audit_show", ("show", "--storage", "memory://x")),
    "state show": ("state", "run_state_show", ("--storage", "memory://x")),
    "state export": ("state", "run_state_export", ("--storage", "memory://x", "--format", "strimzi")),
    "state diff": ("state", "run_state_diff", ("--storage", "memory://x", "--with", "y")),
    "offsets show": ("offsets", "run_offsets_show", ("--storage", "memory://x")),
    "offsets plan": ("offsets", "run_offsets_compare", ("r1", "--config", "x.yaml")),
    "offsets verify": ("offsets", "run_offsets_compare", ("r1", "--config", "x.yaml")),
    "offsets apply": ("offsets", "run_offsets_apply", ("r1", "--config", "x.yaml", "--all")),
    "offsets rollback": ("offsets", "run_offsets_rollback", ("r1", "--config", "x.yaml", "--all")),
    "mark": ("mark", "run_mark", ("m", "--config", "x.yaml")),
    "unexpire": ("prune", "run_unexpire", ("--storage", "memory://x")),
    "freeze": ("freeze", "run_freeze", ("--storage", "memory://x", "--reason", "y")),
    "thaw": ("freeze", "run_thaw", ("--storage", "memory://x", "--reason", "y")),
    "evidence list": ("evidence", "run_evidence_list", ("--storage", "memory://x")),
    "evidence show": ("evidence", "run_evidence_show", ("set", "--storage", "memory://x")),
    "evidence verify": ("evidence_keys", "run_evidence_verify", ("envelope.json", "--key", "x.pem")),
    "evidence keygen": ("evidence_keys", "run_evidence_keygen", ("--out", "x.pem")),
    "thaw-objects": ("thaw_objects", "run_thaw_objects", ("--config", "x.yaml")),
    "unlock": ("unlock", "run_unlock", ("--storage", "memory://x")),
    "abandon": ("abandon", "run_abandon", ("r1", "--config", "x.yaml")),
    "finalize": ("finalize", "run_finalize", ("r1", "--config", "x.yaml")),
}
"""For each command its module, the function that runs it, and arguments."""

SDKS = ("confluent_kafka", "boto3", "botocore", "prefect", "cryptography", "jinja2")


@pytest.fixture
def _restored_gc() -> Iterator[None]:
    """Undo what `main` does to the garbage collector of this process."""
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.enable()
    gc.unfreeze()


@pytest.mark.usefixtures("_restored_gc")
@pytest.mark.parametrize("name", COMMANDS)
def test_the_garbage_collector_is_enabled_and_imports_are_frozen_while_a_command_runs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, function, arguments = COMMANDS[name]
    seen: list[tuple[bool, bool]] = []

    def run(*_: object, **__: object) -> int:
        seen.append((gc.isenabled(), gc.get_freeze_count() > 0))
        return 7

    monkeypatch.setattr(importlib.import_module(f"tasks.cli.{module}"), function, run)
    monkeypatch.setattr(sys, "argv", ["kafka-backup", *name.split(), *arguments])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ([(True, True)], 7) == (seen, ended.value.code)


def test_the_garbage_collector_is_disabled_while_a_command_is_imported() -> None:
    code = (
        "import builtins, gc, sys\n"
        "from tasks.cli.main import main\n"
        "load, seen = builtins.__import__, {}\n"
        "def record(name, *rest, **more):\n"
        "    seen.setdefault(name, gc.isenabled())\n"
        "    return load(name, *rest, **more)\n"
        "builtins.__import__ = record\n"
        "sys.argv = ['kafka-backup', 'list', '--storage', 'memory://x']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    print(seen['tasks.cli.list_points'], seen['tasks.repository.repository'], seen['pydantic'])\n"
    )
    assert "False False False\n" == _stdout(code)


@pytest.mark.parametrize(
    "arguments", [("list",), ("list", "--restores"), ("evidence", "list"), ("describe", "--backup-id", SET)]
)
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
        "allowed = {'main', 'command_group', 'options', 'session', 'signals', 'exit_codes'}\n"
        "print(sorted(name for name in sys.modules if name.startswith('tasks.cli.')\n"
        "             and name.removeprefix('tasks.cli.') not in allowed))\n"
        "print([name for name in ('pydantic', 'yaml', 'rich', 'zstandard', 'kafka') if name in sys.modules])\n"
    )
    assert "[]\n[]\n" == _stdout(code)


def _stdout(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
