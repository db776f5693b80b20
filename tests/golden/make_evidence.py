"""Writes `tests/golden/evidence/`: a report, its envelope and the public key of a fixed private key.

`python -m tests.golden.make_evidence`. Reports that exist already stay valid for ever, so a new version of the schema
gets a new folder.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tasks.engine.evidence.build_report import build_report
from tasks.engine.evidence.canonical import report_bytes
from tasks.engine.evidence.dsse import sign_payload
from tasks.engine.evidence.signing_keys import SigningKey
from tests.support.made_drill import failed_drill, full_context

FOLDER = Path(__file__).with_name("evidence")


def golden_key() -> SigningKey:
    """A key that everybody knows."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return SigningKey.from_pem(pem, name="golden")


def golden_files() -> dict[str, bytes]:
    """The contents of the folder."""
    key = golden_key()
    report = report_bytes(build_report(failed_drill(), replace(full_context(), key_id=key.key_id)))
    public = key.public().key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {"report.json": report, "envelope.json": sign_payload(report, key), "evidence.pem.pub": public}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, data in golden_files().items():
        (FOLDER / name).write_bytes(data)
