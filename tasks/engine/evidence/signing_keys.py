"""Ed25519 keys in PEM: makes a pair, reads them, signs and verifies. The library `cryptography` is imported only if a
key is used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.model.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies. `key_id` is the SHA-256 of the key's DER (SubjectPublicKeyInfo), as
    `openssl pkey -pubin -outform DER | sha256sum` prints it."""

    key: Ed25519PublicKey
    key_id: str

    @classmethod
    def from_pem(cls, pem: bytes, *, name: str) -> PublicKey:
        """The key in PEM. Raises `ConfigError` with `name` if it is not a public Ed25519 key."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            raise ConfigError(f"{name} is not a public key in PEM.") from None
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigError(f"{name} is not an Ed25519 key.")
        return cls(key, _key_id(key))

    def is_valid(self, signature: bytes, message: bytes) -> bool:
        """Whether the private key of this key has signed these bytes."""
        from cryptography.exceptions import InvalidSignature

        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A key that signs. It is secret, so its text does not contain it. `key_id` is that of the public key."""

    key: Ed25519PrivateKey
    key_id: str

    @classmethod
    def from_pem(cls, pem: bytes, *, name: str) -> SigningKey:
        """The key in PEM (PKCS#8, without a password). Raises `ConfigError` with `name` if it is not a private Ed25519
        key."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(pem, password=None)
        except TypeError:
            raise ConfigError(f"{name} is encrypted with a password. Give a key without a password.") from None
        except (ValueError, UnsupportedAlgorithm):
            raise ConfigError(
                f"{name} is not a private key in PEM. `kafka-backup evidence keygen` makes one."
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{name} is not an Ed25519 key. `kafka-backup evidence keygen` makes one.")
        return cls(key, _key_id(key.public_key()))

    def sign(self, message: bytes) -> bytes:
        """The signature of the bytes: 64 bytes, the same for each call."""
        return self.key.sign(message)

    def public(self) -> PublicKey:
        """The key that verifies what this key signs."""
        return PublicKey(self.key.public_key(), self.key_id)


def new_key_pair() -> tuple[bytes, bytes]:
    """(a new private key in PKCS#8 PEM without a password, its public key in PEM)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _key_id(key: Ed25519PublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
