"""Certificates that trustme does not make: without subjectAltName, without an Authority Key Identifier."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.certificates import Leaf


class PlainAuthority:
    """An authority whose certificates have no key identifiers, as a private one made by hand often has."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        builder = _builder("plain authority", "plain authority", self._key.public_key())
        certificate = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.ca = folder / "plain-ca.pem"
        self.ca.write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(self, name: str, san: x509.SubjectAlternativeName | None) -> Leaf:
        """A certificate with the common name `name`, and with these further names."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, "plain authority", key.public_key())
        if san is not None:
            builder = builder.add_extension(san, critical=False)
        pem = builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        leaf = Leaf(*(self._folder / f"{name}{ending}" for ending in (".crt", ".key", ".pem")))
        leaf.certificate.write_bytes(pem)
        leaf.key.write_bytes(key_pem)
        leaf.both.write_bytes(key_pem + pem)
        return leaf


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
