"""Recognizes the kinds of files with certificates and keys by their bytes, refuses the wrong kinds, and names the
commands that convert them. Recognizes encrypted keys."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Literal

from tasks.model.errors import ConfigError

FileKey = Literal["ssl_ca_location", "ssl_certificate_location", "ssl_key_location"]
Kind = Literal["certificate", "key", "both", "empty", "PKCS12", "JKS", "DER certificate", "DER key", "other"]

_CERTIFICATE_BEGIN = (b"-----BEGIN CERTIFICATE-----", b"-----BEGIN TRUSTED CERTIFICATE-----")
_KEY_END = b"PRIVATE KEY-----"
_JKS_MAGIC = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
"""The first bytes of JKS and JCEKS files."""

_SEQUENCE = 0x30
_DER_BODY: Mapping[bytes, Kind] = {
    b"\x02\x01\x03": "PKCS12",  # a sequence that begins with version 3 (RFC 7292)
    b"\x02\x01\x00": "DER key",  # with version 0 (RFC 5208, RFC 8017)
    b"\x02\x01\x01": "DER key",  # with version 1 (RFC 5915, RFC 5958)
}
_WANTED: Mapping[FileKey, Kind] = {
    "ssl_ca_location": "certificate",
    "ssl_certificate_location": "certificate",
    "ssl_key_location": "key",
}
_COMMANDS: Mapping[tuple[Kind, FileKey], str] = {
    ("PKCS12", "ssl_ca_location"): "openssl pkcs12 -in {file} -nokeys -out ca.pem",
    ("PKCS12", "ssl_certificate_location"): "openssl pkcs12 -in {file} -clcerts -nokeys -out certificate.pem",
    ("PKCS12", "ssl_key_location"): "openssl pkcs12 -in {file} -nocerts -out key.pem",
    ("JKS", "ssl_ca_location"): "keytool -exportcert -rfc -keystore {file} -alias ALIAS -file ca.pem",
    ("JKS", "ssl_certificate_location"): (
        "keytool -importkeystore -srckeystore {file} -destkeystore store.p12 -deststoretype PKCS12, and then "
        "openssl pkcs12 -in store.p12 -clcerts -nokeys -out certificate.pem"
    ),
    ("JKS", "ssl_key_location"): (
        "keytool -importkeystore -srckeystore {file} -destkeystore store.p12 -deststoretype PKCS12, and then "
        "openssl pkcs12 -in store.p12 -nocerts -out key.pem"
    ),
    ("DER certificate", "ssl_ca_location"): "openssl x509 -inform DER -in {file} -out ca.pem",
    ("DER certificate", "ssl_certificate_location"): "openssl x509 -inform DER -in {file} -out certificate.pem",
    ("DER key", "ssl_key_location"): "openssl pkey -inform DER -in {file} -out key.pem",
}
_NAMES: Mapping[Kind, str] = {
    "certificate": "a PEM file with a certificate and no key",
    "key": "a PEM file with a key and no certificate",
    "empty": "empty",
    "PKCS12": "a PKCS12 file",
    "JKS": "a Java key store (JKS)",
    "DER certificate": "a certificate in DER form",
    "DER key": "a key in DER form",
    "other": "neither a PEM file nor a key store",
}


def kind_of(data: bytes) -> Kind:
    """The kind of a file with these bytes."""
    has_certificate = any(begin in data for begin in _CERTIFICATE_BEGIN)
    has_key = _KEY_END in data and b"-----BEGIN " in data
    if has_certificate or has_key:
        return "both" if has_certificate and has_key else "certificate" if has_certificate else "key"
    if not data.strip():
        return "empty"
    if data.startswith(_JKS_MAGIC):
        return "JKS"
    return _der_kind(data)


def is_encrypted_key(data: bytes) -> bool:
    """Whether the bytes of a PEM file contain a key that is protected by a password."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in data or b"Proc-Type: 4,ENCRYPTED" in data


def check_kinds(files: Mapping[FileKey, tuple[str, bytes]]) -> None:
    """Raises `ConfigError` if a file is not of the kind that its configuration key needs. `files` contains the path and
    the bytes of each file.

    If there is a command that makes the needed file, the message contains it.
    """
    kinds = {name: kind_of(data) for name, (_, data) in files.items()}
    if (kinds.get("ssl_certificate_location"), kinds.get("ssl_key_location")) == ("key", "certificate"):
        raise ConfigError(
            "ssl_certificate_location and ssl_key_location are swapped: "
            f"{files['ssl_certificate_location'][0]} has the key, and {files['ssl_key_location'][0]} the certificate."
        )
    for name, kind in kinds.items():
        if kind not in (_WANTED[name], "both"):
            raise _wrong_kind(name, files[name][0], kind)


def _wrong_kind(name: FileKey, path: str, kind: Kind) -> ConfigError:
    command = _COMMANDS.get((kind, name))
    wanted = f"A PEM file with a {_WANTED[name]} is needed"
    how = f"{wanted}; make it with: {command.format(file=shlex.quote(path))}" if command else f"{wanted}."
    return ConfigError(f"{name}: {path} is {_NAMES[kind]}. {how}")


def _der_kind(data: bytes) -> Kind:
    """The kind of a file in DER form; `other` if it is not in this form. PKCS12 files, certificates and keys are
    sequences, and differ in their first element."""
    if len(data) < 2 or data[0] != _SEQUENCE:
        return "other"
    length_bytes = data[1] & 0x7F if data[1] & 0x80 else 0
    body = data[2 + length_bytes :]
    if body[:1] == bytes([_SEQUENCE]):
        return "DER certificate"
    return _DER_BODY.get(body[:3], "other")
