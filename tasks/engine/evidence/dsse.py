"""DSSE envelopes: a payload with its type and a signature over both. Pure.

    PAE = "DSSEv1 " + <length of the type> + " " + type + " " + <length of the payload> + " " + payload
    envelope = {"payload":<base64>,"payloadType":<type>,"signatures":[{"keyid":<key id>,"sig":<base64>}]}

The signature is that of PAE (pre-authentication encoding). Lengths are decimal numbers of bytes. Source:
https://github.com/secure-systems-lab/dsse. This program writes the envelope as canonical JSON and accepts no other
form, so that each changed byte of an envelope is found.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from tasks.engine.evidence.canonical import canonical_json
from tasks.engine.evidence.signing_keys import PublicKey, SigningKey
from tasks.model.errors import AccessError, DamagedError, SignatureError, UnsupportedError
from tasks.repository.document import Document

PAYLOAD_TYPE: Final = "application/vnd.kafka-backup.drill+json"


class Signature(Document):
    """One signature, in base64. `keyid` names the key."""

    keyid: str
    sig: str


class Envelope(Document):
    """A signed payload, in base64."""

    payload: str
    payload_type: str = Field(alias="payloadType")
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class OpenedEnvelope:
    """What an envelope contains, before its signature is verified."""

    payload: bytes
    payload_type: str
    key_id: str
    signature: bytes


def signed_message(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The bytes that are signed for a payload: its PAE."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign_payload(payload: bytes, key: SigningKey) -> bytes:
    """The stored bytes of the envelope of a payload. The same payload and key give the same bytes."""
    return _encode(OpenedEnvelope(payload, PAYLOAD_TYPE, key.key_id, key.sign(signed_message(payload))))


def verify_envelope(data: bytes, key: PublicKey, *, name: str) -> bytes:
    """The payload of an envelope that was signed with this key. `name` names the envelope in messages.

    Raises `SignatureError` if a byte was changed after the envelope was signed, `AccessError` if it names another key,
    and `UnsupportedError` if what was signed is not the report of a drill.
    """
    opened = open_envelope(data, name=name)
    is_valid = key.is_valid(opened.signature, signed_message(opened.payload, opened.payload_type))
    if not is_valid and opened.key_id != key.key_id:
        raise AccessError(
            f"{name} names the key {opened.key_id}, and the given public key is {key.key_id}. "
            "Give the public key that belongs to the signature."
        )
    if not is_valid or opened.key_id != key.key_id:
        raise _changed(name, "its signature does not match its contents")
    if opened.payload_type != PAYLOAD_TYPE:
        raise UnsupportedError(f"{name} contains {opened.payload_type!r} and not {PAYLOAD_TYPE!r}.")
    return opened.payload


def open_envelope(data: bytes, *, name: str) -> OpenedEnvelope:
    """The contents of an envelope. Nothing is verified but its form. Raises `SignatureError` if it does not have the
    form that this program writes."""
    try:
        envelope = Envelope.from_text(data, key="its text")
    except DamagedError as error:
        raise _changed(name, str(error)) from None
    if len(envelope.signatures) != 1:
        raise _changed(name, f"it has {len(envelope.signatures)} signatures and not one")
    [signature] = envelope.signatures
    payload, sig = _decoded(envelope.payload, name), _decoded(signature.sig, name)
    opened = OpenedEnvelope(payload, envelope.payload_type, signature.keyid, sig)
    if _encode(opened) != data:
        raise _changed(name, "its JSON is not canonical")
    return opened


def _encode(envelope: OpenedEnvelope) -> bytes:
    return canonical_json(
        {
            "payload": base64.b64encode(envelope.payload).decode(),
            "payloadType": envelope.payload_type,
            "signatures": [{"keyid": envelope.key_id, "sig": base64.b64encode(envelope.signature).decode()}],
        }
    )


def _decoded(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _changed(name, "it contains text that is not base64") from None


def _changed(name: str, problem: str) -> SignatureError:
    return SignatureError(
        f"{name} is not what was signed: {problem}. Do not rely on it, and get it from the repository again."
    )
