"""Certificates of the servers and clients that tests start: an authority of their own, and leaves that it signs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate and its key as PEM files; `both` has the key and the chain in one file, as Kafka wants them."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs certificates. Everything it makes lies in `folder`; `ca` is what clients have to trust."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca = folder / f"{name}.pem"
        self._ca = trustme.CA(organization_name=name)
        self._ca.cert_pem.write_to_path(str(self.ca))

    def issue(
        self,
        name: str,
        hosts: tuple[str, ...] = LOOPBACK,
        *,
        common_name: str | None = None,
        password: str | None = None,
    ) -> Leaf:
        """A certificate for these hosts in files called `name`; its key is encrypted when a password is given."""
        made = self._ca.issue_cert(*hosts, common_name=common_name)
        encryption: KeySerializationEncryption = (
            BestAvailableEncryption(password.encode()) if password else NoEncryption()
        )
        key = load_pem_private_key(made.private_key_pem.bytes(), None)
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        chain_pem = b"".join(pem.bytes() for pem in made.cert_chain_pems)
        leaf = Leaf(*(self.folder / f"{name}{ending}" for ending in (".crt", ".key", ".pem")))
        leaf.certificate.write_bytes(chain_pem)
        leaf.key.write_bytes(key_pem)
        leaf.both.write_bytes(key_pem + chain_pem)
        return leaf
