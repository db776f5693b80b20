"""Signed envelopes."""

from __future__ import annotations

import pytest

from tasks.engine.evidence.build_report import build_report
from tasks.engine.evidence.canonical import report_bytes
from tasks.engine.evidence.dsse import sign_payload, verify_envelope
from tasks.engine.evidence.signing_keys import SigningKey, new_key_pair
from tasks.model.errors import AccessError, ConfigError, DamagedError, KafkaBackupError, UnsupportedError
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
            with pytest.raises(KafkaBackupError) as raised:
                verify_envelope(bytes(changed), KEY.public(), name="e")
            assert isinstance(raised.value, DamagedError | UnsupportedError), (position, raised.value)
    for other in (small + b"\n", b" " + small, small[:-1]):
        with pytest.raises(DamagedError):
            verify_envelope(other, KEY.public(), name="e")


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
