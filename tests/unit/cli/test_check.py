"""`kafka-backup check` without a cluster: the file that it takes, its table, its document and its exit codes."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tasks.cli.check import code_of
from tasks.cli.main import app
from tasks.engine.checks.items import CheckItem, missing, ok, optional, unknown
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError, NotFoundError, RefusedError
from tasks.reports.check import check_headline, check_summary, check_text

OK = ok("a", "x", "there")
UNKNOWN = unknown("a", "x", "not told", "Look.")


def _missing(error: Any) -> CheckItem:
    return missing("Topic orders", "Read", "not allowed", "Add an ACL.", error)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([OK], 0),
        ([OK, optional(UNKNOWN), optional(_missing(AccessError))], 0),
        ([OK, UNKNOWN], 3),
        ([UNKNOWN, _missing(AccessError)], 12),
        ([_missing(ConfigError), _missing(AccessError)], 2),
        ([_missing(NotFoundError)], 10),
        ([_missing(RefusedError)], 3),
        ([_missing(BrokerUnavailableError)], 1),
    ],
)
def test_the_exit_code_is_that_of_the_first_thing_that_stops_the_job(items: list[CheckItem], expected: int) -> None:
    assert expected == code_of(items)


def test_the_table_has_the_advice_under_each_row_that_is_not_ok() -> None:
    lines = check_text([OK, _missing(AccessError), optional(UNKNOWN)]).splitlines()

    assert "STATUS" == lines[0].split()[0]
    assert ["ok", "missing", "→ Add an ACL.", "unknown (optional)", "→ Look."] == [
        line.strip().partition("  ")[0] for line in lines[1:]
    ]


def test_the_same_advice_for_rows_in_succession_is_printed_once() -> None:
    denied = _missing(AccessError)
    lines = [line.strip().partition("  ")[0] for line in check_text([denied, denied, UNKNOWN, denied]).splitlines()]

    assert ["missing", "missing", "→ Add an ACL.", "unknown", "→ Look.", "missing", "→ Add an ACL."] == lines[1:]


def test_long_texts_are_wrapped_into_their_column_and_names_stay_whole() -> None:
    name = "Topic " + "a-long.name-" * 6
    denied = missing(name, "Read", "not allowed, because " * 5, "Add an ACL for this user. " * 6, AccessError)

    lines = check_text([OK, denied]).splitlines()

    assert [] == [line for line in lines if len(line) > 100]
    assert f"missing  {name}  Read" == lines[2]
    column = lines[0].index("FOUND")
    assert {column} == {len(line) - len(line.lstrip()) for line in lines[3:5]}
    assert "not allowed, because not allowed," in lines[3]
    assert lines[5].startswith("  → Add an ACL")
    assert lines[6].startswith("    ")


def test_the_headline_says_what_stops_the_job() -> None:
    assert "one thing is missing; the first: Topic orders: Read" in check_headline([UNKNOWN, _missing(AccessError)])
    assert "2 things are missing" in check_headline([_missing(AccessError)] * 2)
    assert "not everything could be checked" in check_headline([OK, UNKNOWN])
    assert "everything that is needed is there" in check_headline([OK, optional(UNKNOWN)])


def test_a_cell_of_the_summary_cannot_end_its_row() -> None:
    summary = check_summary([unknown("a|b", "x", "two\nlines")], "backup to s")
    assert "| unknown | a\\|b | x | two lines |  |" in summary.splitlines()


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_the_rows_of_an_unreachable_cluster_are_printed_and_nothing_is_made(tmp_path: Path, closed_port: int) -> None:
    file = _file(tmp_path, closed_port)

    done = CliRunner().invoke(app, ["check", "--config", str(file)])

    assert 1 == done.exit_code, done.output
    assert done.stderr.startswith("checking the cluster …\n")
    assert f"bootstrap server 127.0.0.1:{closed_port}" in done.stdout
    assert "the first backup makes it" in done.stdout
    assert [file] == list(tmp_path.iterdir())


def test_the_document_has_every_row(tmp_path: Path, closed_port: int) -> None:
    done = CliRunner().invoke(app, ["check", "--config", str(_file(tmp_path, closed_port)), "--json"])

    items = json.loads(done.stdout)["items"]
    assert {"subject", "name", "status", "is_needed", "found", "advice", "error"} == items[0].keys()
    assert "BrokerUnavailableError" in {item["error"] for item in items}


def test_a_file_without_a_mode_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("storage: {backend: filesystem, path: /nowhere}\n")

    done = CliRunner().invoke(app, ["check", "--config", str(file)])

    assert 2 == done.exit_code
    assert "file.yaml:1: 'mode' has to be backup or restore." in done.output


def _file(folder: Path, port: int) -> Path:
    file = folder / "file.yaml"
    source = {"bootstrap_servers": [f"127.0.0.1:{port}"]}
    storage = {"backend": "filesystem", "path": str(folder / "new")}
    file.write_text(json.dumps({"mode": "backup", "backup_id": "s", "source": source, "storage": storage}))
    return file
