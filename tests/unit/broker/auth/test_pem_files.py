"""A file of the wrong kind is refused with its key, its kind, and the command that makes the right one."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate

from tasks.broker.auth.pem_files import Kind, kind_of
from tasks.broker.auth.security import Security
from tasks.broker.auth.tls import check_files
from tasks.model.errors import ConfigError
from tests.support.certificates import Authority, Leaf


@pytest.fixture
def leaf(tmp_path: Path) -> Leaf:
    return Authority(tmp_path).issue("server", password="pass")


def store_of(folder: Path, leaf: Leaf, password: bytes = b"changeit") -> Path:
    """A PKCS12 file with the leaf's key and certificate."""
    key = load_pem_private_key(leaf.key.read_bytes(), b"pass")
    certificate = load_pem_x509_certificate(leaf.certificate.read_bytes())
    path = folder / "my store.p12"
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(b"it", key, certificate, None, BestAvailableEncryption(password))  # type: ignore[arg-type]
    )
    return path


def problem(**values: Path) -> str:
    given = {name: str(path) for name, path in values.items()}
    with pytest.raises(ConfigError) as refused:
        check_files(Security.model_validate({"security_protocol": "SSL", **given}))
    return str(refused.value)


def test_each_kind_is_recognized_by_its_bytes(tmp_path: Path, leaf: Leaf) -> None:
    certificate = leaf.certificate.read_bytes()
    der = ssl.PEM_cert_to_DER_cert(load_pem_x509_certificate(certificate).public_bytes(Encoding.PEM).decode())
    kinds: dict[Kind, bytes] = {
        "certificate": certificate,
        "key": leaf.key.read_bytes(),
        "both": leaf.both.read_bytes(),
        "empty": b" \n",
        "PKCS12": store_of(tmp_path, leaf).read_bytes(),
        "JKS": b"\xfe\xed\xfe\xed\x00\x00\x00\x02",
        "DER certificate": der,
        "DER key": b"\x30\x82\x04\xbd\x02\x01\x00\x30\x0d",
        "other": b"nothing",
    }
    assert {kind: kind for kind in kinds} == {kind: kind_of(data) for kind, data in kinds.items()}


def test_a_key_store_is_refused_with_the_line_that_makes_the_file(tmp_path: Path, leaf: Leaf) -> None:
    store = store_of(tmp_path, leaf)
    pair = {"ssl_certificate_location": leaf.certificate, "ssl_key_location": leaf.key}

    assert (
        f"ssl_ca_location: {store} is a PKCS12 file. A PEM file with a certificate is needed; make it with: "
        f"openssl pkcs12 -in '{store}' -nokeys -out ca.pem"
    ) == problem(ssl_ca_location=store)
    assert "-clcerts -nokeys -out certificate.pem" in problem(**{**pair, "ssl_certificate_location": store})
    assert f"ssl_key_location: {store} is a PKCS12 file." in problem(**{**pair, "ssl_key_location": store})


def test_a_java_key_store_is_refused_with_a_keytool_line(tmp_path: Path) -> None:
    store = tmp_path / "store.jks"
    store.write_bytes(b"\xfe\xed\xfe\xed\x00\x00\x00\x02")

    assert (
        f"ssl_ca_location: {store} is a Java key store (JKS). A PEM file with a certificate is needed; make it with: "
        f"keytool -exportcert -rfc -keystore {store} -alias ALIAS -file ca.pem"
    ) == problem(ssl_ca_location=store)


def test_swapped_empty_and_other_files_are_named(tmp_path: Path, leaf: Leaf) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    pair = {"ssl_certificate_location": leaf.certificate, "ssl_key_location": leaf.key}

    assert (
        f"ssl_certificate_location and ssl_key_location are swapped: {leaf.key} has the key, and {leaf.certificate} "
        "the certificate."
    ) == problem(ssl_certificate_location=leaf.key, ssl_key_location=leaf.certificate)
    assert (f"ssl_certificate_location: {empty} is empty. A PEM file with a certificate is needed.") == problem(
        **{**pair, "ssl_certificate_location": empty}
    )
    assert (
        f"ssl_ca_location: {leaf.key} is a PEM file with a key and no certificate. "
        "A PEM file with a certificate is needed."
    ) == problem(ssl_ca_location=leaf.key)


def test_a_damaged_file_is_reported_on_its_own_key(tmp_path: Path) -> None:
    leaf = Authority(tmp_path).issue("plain")
    pair = {"ssl_certificate_location": leaf.certificate, "ssl_key_location": leaf.key}
    for name, path in pair.items():
        damaged = tmp_path / "damaged.pem"
        lines = path.read_text().splitlines(keepends=True)
        damaged.write_text("".join([lines[0], "AAAA", *lines[2:]]))

        assert problem(**{**pair, name: damaged}).startswith(f"{name}: {damaged} cannot be used: the ")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_openssl_lines_make_files_that_are_accepted(tmp_path: Path, leaf: Leaf) -> None:
    store = store_of(tmp_path, leaf)
    made: dict[str, Path] = {}
    for key, other in (("ssl_ca_location", {}), ("ssl_certificate_location", {"ssl_key_location": leaf.key})):
        line = problem(**{key: store}, **other).partition("make it with: ")[2]
        subprocess.run(f"{line} -passin pass:changeit", shell=True, cwd=tmp_path, check=True, capture_output=True)
        made[key] = tmp_path / line.rpartition(" ")[2]
    line = problem(ssl_certificate_location=leaf.certificate, ssl_key_location=store).partition("make it with: ")[2]
    subprocess.run(f"{line} -passin pass:changeit -nodes", shell=True, cwd=tmp_path, check=True, capture_output=True)

    values = {**made, "ssl_key_location": tmp_path / "key.pem"}
    check_files(
        Security.model_validate({"security_protocol": "SSL", **{name: str(path) for name, path in values.items()}})
    )
