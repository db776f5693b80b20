"""`source.security` in a file: problems are reported with line and key, and without the value."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.config.adapters import connection_options
from tasks.config.load import load_backup
from tasks.config.models import BackupFile
from tasks.model.errors import ConfigError
from tests.unit.config.test_files import BACKUP

MARKER = "hunter2"


def _load(folder: Path, section: str, environment: dict[str, str] | None = None) -> BackupFile:
    path = folder / "f.yaml"
    path.write_text(BACKUP.replace("[kafka:9092]\n", f"[kafka:9092]\n  security:{section}\n"), encoding="utf-8")
    return load_backup(path, environment or {}).file


def _problem(folder: Path, section: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _load(folder, section)
    assert MARKER not in str(caught.value)
    [line] = str(caught.value).splitlines()
    return line.removeprefix(f"{folder}/f.yaml:")


def test_a_secured_cluster_is_read_with_the_spellings_of_other_tools(tmp_path: Path) -> None:
    section = """
    security_protocol: sasl_ssl
    sasl_mechanism: SCRAM-SHA512
    sasl_username: backup
    sasl_password: ${PASSWORD}
"""
    connection = connection_options(_load(tmp_path, section, {"PASSWORD": "0123"}).source)

    security = connection.security
    assert ("SASL_SSL", "SCRAM-SHA-512", "backup") == (
        security.security_protocol,
        security.sasl_mechanism,
        security.sasl_username,
    )
    assert security.sasl_password is not None
    assert "0123" == security.sasl_password.get_secret_value(), "digits in a variable are text where text is expected"
    assert "0123" not in repr(connection)


@pytest.mark.parametrize("section", ["", " {}", " {security_protocol: plaintext}", " {sasl_password: null}"])
def test_an_empty_section_means_plaintext(tmp_path: Path, section: str) -> None:
    assert "PLAINTEXT" == _load(tmp_path, section).source.security.security_protocol


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            f" {{sasl_pasword: {MARKER}}}",
            "5: unknown key 'sasl_pasword' in 'source.security'; did you mean 'sasl_password'?",
        ),
        (" {security_protocol: TLS}", "5: 'source.security.security_protocol': should be 'PLAINTEXT', 'SSL'"),
        (" {security_protocol: SASL_SSL}", "5: 'source.security': SASL_SSL needs a sasl_mechanism"),
        (f" {{sasl_password: {MARKER}}}", "5: 'source.security': sasl_password is not used with PLAINTEXT"),
        (f" {{sasl_password: [{MARKER}]}}", "5: 'source.security.sasl_password': should be text, found a list"),
        (f" {{sasl_mechanism: {MARKER}}}", "5: 'source.security.sasl_mechanism': should be 'PLAIN', 'SCRAM-SHA-256'"),
        (
            " {security_protocol: SASL_SSL, sasl_mechanism: GSSAPI}",
            "5: 'source.security.sasl_mechanism': this version has no Kerberos",
        ),
        (
            " {sasl_keytab_path: /k}",
            "5: 'source.security.sasl_keytab_path' is not available yet: this version has no Kerberos",
        ),
    ],
)
def test_a_problem_is_one_line_with_the_key_and_without_the_value(tmp_path: Path, section: str, expected: str) -> None:
    assert _problem(tmp_path, section).startswith(expected)


@pytest.mark.parametrize("key", ["ssl_ca_location", "sasl_oauth_token_file"])
def test_a_missing_certificate_or_token_file_is_reported_before_a_connection_is_made(tmp_path: Path, key: str) -> None:
    sasl = "security_protocol: SASL_SSL, sasl_mechanism: OAUTHBEARER, sasl_oauth_token_file: /none"
    file = _load(
        tmp_path, f" {{{sasl}}}" if key.startswith("sasl") else " {security_protocol: SSL, ssl_ca_location: /none}"
    )
    with pytest.raises(ConfigError, match=f"{key}: /none: No such file"):
        connection_options(file.source)
