"""The commands `kafka-backup evidence verify` and `keygen`: need files and keys, and no repository."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.cli.exit_codes import OK
from tasks.cli.session import Session
from tasks.engine.evidence.canonical import read_report
from tasks.engine.evidence.dsse import verify_envelope
from tasks.engine.evidence.signing_keys import PublicKey, SigningKey, new_key_pair
from tasks.model.errors import ConfigError, NotFoundError
from tasks.reports.evidence import report_text
from tasks.repository.document import sha256_hex

_PRIVATE_MODE = 0o600
_PUBLIC_MODE = 0o644


def run_evidence_verify(session: Session, file: Path, key: Path) -> int:
    """Verify an envelope and print the report in it. Returns the exit code. Raises `SignatureError` if a byte was
    changed, `AccessError` if the envelope names another key, and `NotFoundError` for a missing file."""
    public = PublicKey.from_pem(_read(key), name=str(key))
    payload = verify_envelope(_read(file), public, name=str(file))
    report = read_report(payload, key=str(file))
    session.print(f"{file} is what was signed with the key {public.key_id}.")
    session.print(report_text(report, sha256_hex(payload)))
    session.print_json({"key_id": public.key_id, "sha256": sha256_hex(payload), "report": report.to_json()})
    return OK


def run_evidence_keygen(session: Session, out: Path) -> int:
    """Write a new private key to `out`, which only its owner can read, and its public key to a file beside it. Returns
    the exit code. Raises `ConfigError` if a file exists already or cannot be written."""
    public = out.with_name(f"{out.name}.pub")
    for path in (out, public):
        if path.exists():
            raise ConfigError(f"{path} exists already, and a key is never overwritten. Give another file.")
    private_pem, public_pem = new_key_pair()
    _create(out, private_pem, _PRIVATE_MODE)
    _create(public, public_pem, _PUBLIC_MODE)
    key_id = SigningKey.from_pem(private_pem, name=str(out)).key_id
    session.print(f"private key {out}\npublic key  {public}\nkey id      {key_id}")
    session.print_json({"private_key": str(out), "public_key": str(public), "key_id": key_id})
    return OK


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def _create(path: Path, data: bytes, mode: int) -> None:
    """Create a file. Its mode is right from the beginning."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None
