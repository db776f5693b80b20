"""A signed report that is checked in: this program, openssl and Python alone verify it, as docs/EVIDENCE.md says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.engine.evidence.canonical import read_report
from tasks.engine.evidence.dsse import verify_envelope
from tasks.engine.evidence.signing_keys import PublicKey
from tests.golden.make_evidence import FOLDER, golden_files

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "EVIDENCE.md").read_text()
ENVELOPE = (FOLDER / "envelope.json").read_bytes()
REPORT = (FOLDER / "report.json").read_bytes()
_PARTS = {
    "payload": ENVELOPE.index(b'"payload":"') + 400,
    "payloadType": ENVELOPE.index(b'"payloadType":"') + 20,
    "sig": ENVELOPE.index(b'"sig":"') + 20,
}
"""For each part of the envelope the position of a byte in it."""


def test_the_program_still_makes_the_report_that_is_checked_in() -> None:
    assert golden_files() == {path.name: path.read_bytes() for path in FOLDER.iterdir()}


def test_the_program_verifies_the_envelope_and_reads_the_report() -> None:
    key = PublicKey.from_pem((FOLDER / "evidence.pem.pub").read_bytes(), name="key")

    assert REPORT == verify_envelope(ENVELOPE, key, name="envelope.json")
    assert "failed" == read_report(REPORT, key="report.json").result.verdict


def test_openssl_verifies_the_envelope_with_the_printed_commands(tmp_path: Path) -> None:
    done = _openssl(tmp_path, ENVELOPE)

    assert 0 == done.returncode, done.stderr
    success, key_id = done.stdout.splitlines()
    assert "Signature Verified Successfully" == success
    assert key_id.split()[0] in ENVELOPE.decode()
    assert REPORT == (tmp_path / "report.json").read_bytes()


@pytest.mark.parametrize("part", _PARTS)
def test_openssl_fails_if_one_byte_of_the_envelope_was_changed(tmp_path: Path, part: str) -> None:
    done = _openssl(tmp_path, _changed(_PARTS[part]))

    assert 0 != done.returncode
    assert "Verified Successfully" not in done.stdout


def test_python_alone_verifies_the_envelope_with_the_printed_program(tmp_path: Path) -> None:
    done = _python(tmp_path, ENVELOPE)

    assert (0, REPORT) == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize("position", [*_PARTS.values(), ENVELOPE.index(b'"keyid":"') + 20])
def test_python_alone_fails_if_one_byte_of_the_envelope_was_changed(tmp_path: Path, position: int) -> None:
    done = _python(tmp_path, _changed(position))

    assert (1, b"") == (done.returncode, done.stdout)


def test_python_alone_fails_with_another_key(tmp_path: Path) -> None:
    """The key id of the envelope is made to match, so only the signature can tell."""
    _prepare(tmp_path, ENVELOPE)
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", "other"], cwd=tmp_path, check=True)
    subprocess.run(["openssl", "pkey", "-in", "other", "-pubout", "-out", "evidence.pem.pub"], cwd=tmp_path, check=True)
    key_id = PublicKey.from_pem((tmp_path / "evidence.pem.pub").read_bytes(), name="key").key_id
    envelope = re.sub(rb'"keyid":"[0-9a-f]+"', b'"keyid":"%s"' % key_id.encode(), ENVELOPE)
    (tmp_path / "envelope.json").write_bytes(envelope)

    done = _run_python(tmp_path)
    assert (1, b"The envelope is not what was signed.\n") == (done.returncode, done.stderr)


def _changed(position: int) -> bytes:
    """The envelope with another letter at a position, which is still valid JSON and base64."""
    other = b"B" if ENVELOPE[position : position + 1] != b"B" else b"C"
    return ENVELOPE[:position] + other + ENVELOPE[position + 1 :]


def _prepare(folder: Path, envelope: bytes) -> None:
    (folder / "envelope.json").write_bytes(envelope)
    shutil.copy(FOLDER / "evidence.pem.pub", folder)


def _openssl(folder: Path, envelope: bytes) -> subprocess.CompletedProcess[str]:
    """Runs the commands of the document exactly as they are printed."""
    _prepare(folder, envelope)
    block = re.search(r"### With openssl alone.*?```console\n(.*?)```", DOCUMENT, re.DOTALL)
    assert block is not None
    commands = [line[2:] for line in block[1].splitlines() if line.startswith("$ ")]
    assert 6 == len(commands)
    script = "set -e\n" + "\n".join(commands)
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def _python(folder: Path, envelope: bytes) -> subprocess.CompletedProcess[bytes]:
    _prepare(folder, envelope)
    return _run_python(folder)


def _run_python(folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Runs the program of the document, isolated and without the packages of this environment."""
    block = re.search(r"### With Python alone.*?```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert block is not None
    (folder / "verify.py").write_text(block[1])
    command = [sys.executable, "-I", "-S", "verify.py", "envelope.json", "evidence.pem.pub"]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
