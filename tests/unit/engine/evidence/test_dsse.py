"""Signed envelopes."""

from __future__ import annotations

import base64

import pytest

from tasks.engine.evidence.build_report import build_report
from tasks.engine.evidence.canonical import report_bytes
from tasks.engine.evidence.dsse import PAYLOAD_TYPE, sign_payload, signed_message, verify_envelope
from tasks.engine.evidence.signing_keys import SigningKey, new_key_pair
from tasks.model.errors import AccessError, ConfigError, SignatureError, UnsupportedError
from tests.support.made_drill import made_context, passed_drill

KEY = SigningKey.from_pem(new_key_pair()[0], name="key")
PAYLOAD = report_bytes(build_report(passed_drill(), made_context()))
ENVELOPE = sign_payload(PAYLOAD, KEY)


def test_an_envelope_is_verified_with_the_public_key_and_is_always_the_same() -> None:
    assert PAYLOAD == verify_envelope(ENVELOPE, KEY.public(), name="e")
    assert ENVELOPE == sign_payload(PAYLOAD, KEY)


def test_each_changed_byte_of_an_envelope_is_found() -> None:
    small = sign_payload(b"{}", KEY)
    for position in range(len(small)):
        for change in (1, 0x20, 0x80):
            changed = bytearray(small)
            changed[position] ^= change
            with pytest.raises(SignatureError, match=r"^e is not what was signed: "):
                verify_envelope(bytes(changed), KEY.public(), name="e")
    for other in (small + b"\n", b" " + small, small[:-1]):
        with pytest.raises(SignatureError):
            verify_envelope(other, KEY.public(), name="e")


def test_another_kind_of_document_that_was_signed_with_the_key_is_not_a_report() -> None:
    kind = "application/vnd.in-toto+json"
    signature = KEY.sign(signed_message(b"{}", kind))
    other = sign_payload(b"{}", KEY).replace(PAYLOAD_TYPE.encode(), kind.encode())
    old = base64.b64encode(KEY.sign(signed_message(b"{}")))

    with pytest.raises(UnsupportedError, match=r"in-toto\+json"):
        verify_envelope(other.replace(old, base64.b64encode(signature)), KEY.public(), name="e")


def test_another_key_is_named() -> None:
    other = SigningKey.from_pem(new_key_pair()[0], name="other")

    with pytest.raises(AccessError, match=f"names the key {KEY.key_id}, and the given public key is {other.key_id}"):
        verify_envelope(ENVELOPE, other.public(), name="e")


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused_without_its_text(pem: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^x\.pem is not a private key in PEM\."):
        SigningKey.from_pem(pem, name="x.pem")


def test_a_key_of_another_algorithm_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ConfigError, match="not an Ed25519 key"):
        SigningKey.from_pem(pem, name="x.pem")


def test_the_text_of_a_signing_key_does_not_contain_it() -> None:
    assert "Ed25519" not in repr(KEY)
