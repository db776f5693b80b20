"""The lines that a refused Java key store names, run as they are printed, make files that are accepted."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.broker.auth.security import Security
from tasks.broker.auth.tls import check_files
from tasks.model.errors import ConfigError
from tests.support.certificates import Authority

pytestmark = pytest.mark.skipif(
    not (shutil.which("keytool") and shutil.which("openssl")), reason="keytool or openssl is not installed"
)

PASSWORD = "changeit"
KEYTOOL_ANSWERS = f"-srcstorepass {PASSWORD} -deststorepass {PASSWORD} -noprompt"
"""What keytool asks for when it imports a store."""


def _run(line: str, folder: Path) -> None:
    done = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert 0 == done.returncode, done.stdout + done.stderr


def _line(**values: Path) -> str:
    """The line that the refusal of these files names."""
    given = {name: str(path) for name, path in values.items()}
    with pytest.raises(ConfigError) as refused:
        check_files(Security.model_validate({"security_protocol": "SSL", **given}))
    return str(refused.value).partition("make it with: ")[2]


def test_the_keytool_lines_make_files_that_are_accepted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    leaf = authority.issue("client")
    trusted, own = tmp_path / "trust store.jks", tmp_path / "key store.jks"
    store = f"-storetype JKS -storepass {PASSWORD}"
    _run(f"keytool -importcert -noprompt -alias authority -file {authority.ca} -keystore '{trusted}' {store}", tmp_path)
    dname = "-dname CN=client -keyalg EC -groupname secp256r1"
    _run(f"keytool -genkeypair -alias own -keystore '{own}' {store} -keypass {PASSWORD} {dname}", tmp_path)

    exported = _line(ssl_ca_location=trusted)
    _run(f"{exported.replace('ALIAS', 'authority')} -storepass {PASSWORD}", tmp_path)
    certificate = _line(ssl_certificate_location=own, ssl_key_location=leaf.key)
    key = _line(ssl_certificate_location=leaf.certificate, ssl_key_location=own)
    for line, unencrypted in ((certificate, ""), (key, "-nodes")):
        imported, converted = line.split(", and then ")
        _run(f"{imported} {KEYTOOL_ANSWERS}", tmp_path)
        _run(f"{converted} -passin pass:{PASSWORD} {unencrypted}", tmp_path)

    names = {"ssl_ca_location": "ca", "ssl_certificate_location": "certificate", "ssl_key_location": "key"}
    made = {name: str(tmp_path / f"{stem}.pem") for name, stem in names.items()}
    check_files(Security.model_validate({"security_protocol": "SSL", **made}))
