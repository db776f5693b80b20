"""The commands `kafka-backup evidence`: list, show, verify and keygen."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner, Result

from tasks.cli.main import app
from tasks.engine.evidence.signing_keys import SigningKey
from tasks.engine.evidence.store_evidence import store_evidence
from tasks.repository.names import report_key
from tasks.repository.repository import Repository
from tasks.store.local.local_store import LocalStore
from tests.support.made_backup import SET, back_up, make_repository
from tests.support.made_drill import drill_id, failed_drill, full_context, made_context, passed_drill
from tests.support.made_logs import many_logs


class Made(NamedTuple):
    """A repository in a folder, and a key that `keygen` made."""

    folder: Path
    repository: Repository
    key: Path
    public: Path

    def store(self, number: int, *, is_signed: bool = True) -> None:
        key = SigningKey.from_pem(self.key.read_bytes(), name="key") if is_signed else None
        store_evidence(self.repository, passed_drill(number), made_context(), key)

    def run(self, *arguments: str) -> Result:
        """Run a command on the repository."""
        return _run(*arguments, "--storage", f"file://{self.folder}/repository")


@pytest.fixture
def made(tmp_path: Path) -> Made:
    repository = make_repository(LocalStore(tmp_path / "repository", create=True))
    back_up(repository, many_logs())
    assert 0 == _run("keygen", "--out", str(tmp_path / "key.pem")).exit_code
    return Made(tmp_path, repository, tmp_path / "key.pem", tmp_path / "key.pem.pub")


def test_keygen_makes_a_private_key_for_its_owner_alone_and_overwrites_nothing(made: Made) -> None:
    private = made.key.read_bytes()

    assert (0o600, 0o644) == tuple(stat.S_IMODE(path.stat().st_mode) for path in (made.key, made.public))
    again = _run("keygen", "--out", str(made.key))
    assert (2, private) == (again.exit_code, made.key.read_bytes())
    assert "a key is never overwritten" in again.stderr
    assert "PRIVATE" not in again.output
    missing = _run("keygen", "--out", str(made.folder / "no" / "key.pem"))
    assert 2 == missing.exit_code
    assert "cannot be written: No such file" in missing.stderr


def test_list_shows_the_last_drill_of_each_topic(made: Made) -> None:
    assert "No drills have a report.\n" == made.run("list").stdout
    store_evidence(made.repository, failed_drill(0), full_context(), None)
    made.store(1)

    lines = made.run("list").stdout.splitlines()
    assert ["SET", "TOPIC", "LAST", "DRILL", "RESULT", "RTO", "RPO", "NEXT", "DUE", "DRILL"] == lines[0].split()
    assert [drill_id(1)] == [line.split()[-1] for line in lines[1:]]
    assert "passed" in lines[1]
    assert "4 min 32 s" in lines[1]
    [row] = json.loads(made.run("list", "--backup-id", SET, "--json").stdout)["topics"]
    assert ("orders", 272_500) == (row["topic"], row["rto_ms"])
    assert {"unknown": "not configured"} == row["next_due_ms"]


def test_show_prints_the_newest_or_the_named_report(made: Made) -> None:
    made.store(0)
    store_evidence(made.repository, failed_drill(1), full_context(), None)

    newest = made.run("show", SET).stdout
    assert f"drill {drill_id(1)} of {SET}@1: FAILED" in newest
    assert "failure:    objective RTO was missed" in newest
    assert "RTO         20 min 0 s (target 15 min 0 s: missed)" in newest
    assert f"drill {drill_id(0)} of {SET}@1: PASSED\n" in made.run("show", f"{SET}@{drill_id(0)}").stdout
    report = json.loads(made.run("show", SET, "--json").stdout)
    assert "failed" == report["result"]["verdict"]


def test_show_writes_the_page_and_an_envelope_that_verify_accepts(made: Made) -> None:
    made.store(0)
    page, envelope = made.folder / "page.html", made.folder / "envelope.json"

    done = made.run("show", SET, "--html", str(page), "--envelope", str(envelope))

    assert 0 == done.exit_code, done.output
    assert (made.folder / "repository" / report_key(SET, drill_id(), "report.html")).read_bytes() == page.read_bytes()
    verified = _run("verify", str(envelope), "--key", str(made.public))
    assert 0 == verified.exit_code
    assert "is what was signed with the key" in verified.stdout
    assert "PASSED" in verified.stdout


def test_verify_says_in_one_sentence_what_is_wrong(made: Made) -> None:
    made.store(0)
    envelope = made.folder / "repository" / report_key(SET, drill_id(), "envelope.json")
    changed = made.folder / "changed.json"
    data = envelope.read_bytes()
    changed.write_bytes(data.replace(data[60:61], b"A" if data[60:61] != b"A" else b"B", 1))
    other = made.folder / "other.pem"
    _run("keygen", "--out", str(other))

    failed = [
        _run("verify", str(changed), "--key", str(made.public)),
        _run("verify", str(envelope), "--key", f"{other}.pub"),
        _run("verify", str(made.folder / "none"), "--key", str(made.public)),
        _run("verify", str(envelope), "--key", str(envelope)),
        _run("verify", str(envelope), "--key", str(made.key)),
    ]

    assert [20, 12, 10, 2, 2] == [one.exit_code for one in failed]
    assert ["", ""] == [one.stdout for one in failed[:2]]
    assert all(1 == len(one.stderr.splitlines()) for one in failed)
    assert failed[0].stderr.endswith("Do not rely on it, and get it from the repository again.\n")
    assert "PRIVATE" not in failed[4].output


def test_what_is_not_there_is_named(made: Made) -> None:
    made.store(0, is_signed=False)

    failed = [
        made.run("show", SET, "--envelope", str(made.folder / "e")),
        made.run("show", "other"),
        made.run("show", f"{SET}@{drill_id(5)}"),
        made.run("show", f"{SET}@../../x"),
        made.run("list", "--backup-id", "other"),
    ]

    assert [10, 10, 10, 2, 10] == [one.exit_code for one in failed]
    assert "is not signed, so there is no envelope" in failed[0].stderr
    assert "has no report of a drill" in failed[1].stderr
    assert drill_id(5) in failed[2].stderr
    assert "is not the id of a drill" in failed[3].stderr


def test_a_signed_report_whose_envelope_is_lost_is_damage(made: Made) -> None:
    made.store(0)
    (made.folder / "repository" / report_key(SET, drill_id(), "envelope.json")).unlink()

    failed = made.run("show", SET, "--envelope", str(made.folder / "e"))
    assert 20 == failed.exit_code
    assert "envelope.json is missing" in failed.stderr


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["evidence", *arguments])
