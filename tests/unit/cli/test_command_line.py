"""The command line itself: its version, its errors, completion in a shell, and a quiet stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks.cli.command_group import options_last
from tasks.cli.main import PLANNED_COMMANDS, app
from tasks.cli.session import open_session
from tasks.repository.restores import StepDone, write_part
from tasks.store.local.local_store import LocalStore
from tests.support.made_backup import SET, back_up, make_repository
from tests.support.made_logs import many_logs
from tests.unit.cli.test_restore import PLAN


def _invoke(*arguments: str, code: int) -> tuple[str, str]:
    """(stdout, stderr) of a command."""
    done = CliRunner().invoke(app, list(arguments))
    assert code == done.exit_code, done.output
    return done.stdout, done.stderr


def _complete(*words: str) -> list[str]:
    """What bash is offered after these words."""
    environment = {
        **os.environ,
        "_KAFKA_BACKUP_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    command = [str(Path(sys.executable).with_name("kafka-backup"))]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()


def test_the_version_is_that_of_the_installed_package() -> None:
    assert (f"kafka-backup {version('prefect-kafka-backup')}\n", "") == _invoke("--version", code=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("backup",), "Missing option '--config' / '-c'. See `kafka-backup backup --help`."),
        (("nothing",), "No such command 'nothing'. See `kafka-backup --help`."),
        (("list", "more"), "Got unexpected extra argument(s) (more). See `kafka-backup list --help`."),
        (("finalize",), "Missing option '--config' / '-c'. See `kafka-backup finalize --help`."),
    ],
)
def test_a_wrong_command_line_with_json_ends_as_one_document(arguments: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(app, [*arguments, "--json"], prog_name="kafka-backup")

    document = {"error": {"type": "ConfigError", "message": message, "exit_code": 2}}
    assert (2, document) == (done.exit_code, json.loads(done.stdout))
    assert f"kafka-backup: {message}\n" == done.stderr


def test_a_wrong_command_line_without_json_shows_its_usage() -> None:
    out, err = _invoke("backup", code=2)
    assert ("", True, True) == (out, err.startswith("Usage: "), "Missing option '--config' / '-c'" in err)


def test_help_and_commands_keep_their_exit_codes_with_json(tmp_path: Path) -> None:
    assert "Usage: " in _invoke("list", "--help", "--json", code=0)[0]
    out, _ = _invoke("list", "--storage", f"file://{tmp_path}/none", "--json", code=10)
    assert "NotFoundError" == json.loads(out)["error"]["type"]


def test_common_options_work_before_the_command_as_they_do_after_it(tmp_path: Path) -> None:
    back_up(make_repository(LocalStore(tmp_path, create=True)), many_logs())
    validate = ("validate", "--storage", f"file://{tmp_path}", "--backup-id", SET, "--level", "quick")

    out, err = _invoke("-q", "--json", *validate, code=0)
    assert (f"{SET}@1", "") == (json.loads(out)["point"], err)
    assert "NotFoundError" == json.loads(_invoke("--json", *validate[:-3], "none", code=10)[0])["error"]["type"]


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (["-q", "backup", "-c", "x"], ["backup", "-q", "-c", "x"]),
        (["backup", "-q"], ["backup", "-q"]),
        (["-v", "--version"], ["-v", "--version"]),
        (["-q"], []),
        ([], []),
    ],
)
def test_only_common_options_in_front_of_a_command_are_moved(given: list[str], used: list[str]) -> None:
    assert used == options_last(given)


def test_a_finalize_without_a_restore_lists_those_that_wait_for_it(tmp_path: Path) -> None:
    repository = make_repository(LocalStore(tmp_path / "repository", create=True))
    for number in range(7):
        write_part(repository.store, f"r{number}", "plan", PLAN.model_copy(update={"restore": f"r{number}"}))
    path = tmp_path / "restore.yaml"
    path.write_text(
        "mode: restore\nbackup_id: set\ntarget: {bootstrap_servers: a:1}\n"
        f"storage: {{backend: filesystem, path: {tmp_path}/repository}}\n"
    )
    done = StepDone(restore="r6", step="finalized", time_ms=1, report={})
    write_part(repository.store, "r6", "finalized", done)

    expected = "Name the restore to finalize. Not finalized, newest first: r5, r4, r3, r2, r1 and 1 older one."
    assert expected in _invoke("finalize", "--config", str(path), code=2)[1]


def test_a_shell_completes_commands_options_and_levels_and_no_planned_command() -> None:
    commands = _complete("kafka-backup", "")
    assert {"backup", "list", "restore", "validate-restore"} <= set(commands)
    assert set() == set(commands) & set(PLANNED_COMMANDS)
    assert ["validate", "validate-restore"] == _complete("kafka-backup", "val")
    assert {"--config", "--storage", "--json", "--quiet"} <= set(_complete("kafka-backup", "list", "--"))
    assert ["quick", "full"] == _complete("kafka-backup", "validate", "--level", "")


def test_the_script_for_a_shell_is_shown() -> None:
    command = [str(Path(sys.executable).with_name("kafka-backup")), "--show-completion", "bash"]
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "_KAFKA_BACKUP_COMPLETE=complete_bash" in shown


def test_quiet_leaves_results_errors_and_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    back_up(make_repository(LocalStore(tmp_path, create=True)), many_logs())
    storage = ("--storage", f"file://{tmp_path}")

    loud = _invoke("validate", *storage, "--backup-id", SET, "--level", "quick", code=0)
    quiet = _invoke("validate", *storage, "--backup-id", SET, "--level", "quick", "-q", code=0)
    assert (True, "") == (f"{SET} is {SET}@1" in loud[1], quiet[1])
    assert "no damage found" in quiet[0]
    assert "There is no backup set 'none'" in _invoke("validate", *storage, "--backup-id", "none", "-q", code=10)[1]

    with open_session(is_json=False, is_verbose=False, is_quiet=True) as session:
        session.log("a note")
        session.warn("a warning")
    assert ("", "a warning\n") == capsys.readouterr()
