"""The options of a connection as properties of librdkafka, and when librdkafka is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from tasks.broker.auth.security import Security
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.second_reader.client_settings import client_settings, consumer_settings
from tasks.model.errors import AccessError, ConfigError, KafkaBackupError

_SECURITY = {"security.protocol", "sasl.mechanism", "sasl.username", "sasl.password"}


def _settings(security: Security, errors: list[KafkaBackupError] | None = None) -> dict[str, object]:
    options = ConnectionOptions(bootstrap_servers=("a:1", "b:2"), security=security, client_id="me", rack="r1")
    kept: list[KafkaBackupError] = [] if errors is None else errors
    return client_settings(options, kept.append)


def test_address_client_id_and_rack_are_passed_on() -> None:
    found = _settings(Security())
    assert ("a:1,b:2", "me", "r1") == (found["bootstrap.servers"], found["client.id"], found["client.rack"])
    assert "PLAINTEXT" == found["security.protocol"]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_user_and_password_are_passed_on(mechanism: str) -> None:
    security = Security(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism=mechanism,
        sasl_username="user",
        sasl_password=SecretStr("secret"),
    )
    found = _settings(security)
    assert {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": mechanism,
        "sasl.username": "user",
        "sasl.password": "secret",
    } == {name: value for name, value in found.items() if name in _SECURITY}


def test_a_token_comes_from_the_token_file_with_its_extensions(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("t.o.k\n")
    security = Security(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="OAUTHBEARER",
        sasl_oauth_token_file=str(file),
        sasl_oauth_extensions="logicalCluster=c1",
    )
    token = _settings(security)["oauth_cb"]
    assert callable(token)
    value, expires_s, principal, extensions = token("")
    assert ("t.o.k", "", {"logicalCluster": "c1"}) == (value, principal, extensions)
    assert expires_s > 0


def test_an_error_of_the_token_is_reported_and_raised(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("two tokens")
    security = Security(
        security_protocol="SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER", sasl_oauth_token_file=str(file)
    )
    errors: list[KafkaBackupError] = []
    token = _settings(security, errors)["oauth_cb"]
    assert callable(token)
    with pytest.raises(AccessError):
        token("")
    assert [AccessError] == [type(one) for one in errors]


def test_a_file_that_cannot_be_used_is_named_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ssl_ca_location"):
        _settings(Security(security_protocol="SSL", ssl_ca_location=str(tmp_path / "none.pem")))


def test_a_reader_commits_nothing_checks_crcs_and_reads_only_committed_records() -> None:
    found = consumer_settings()
    assert (False, True, "read_committed", True) == (
        found["enable.auto.commit"],
        found["check.crcs"],
        found["isolation.level"],
        found["enable.partition.eof"],
    )


def test_librdkafka_is_imported_only_when_a_record_reader_is_opened() -> None:
    code = (
        "import sys, threading\n"
        "import tasks.engine.drilling.comparison, tasks.cli.restore, tasks.cli.validate\n"
        "from tasks.broker.kafka_access import KafkaAccess\n"
        "from tasks.broker.raw.connection import ConnectionOptions\n"
        "access = KafkaAccess(ConnectionOptions(bootstrap_servers=('127.0.0.1:1',)))\n"
        "print('confluent_kafka' in sys.modules)\n"
        "with access.record_reader(threading.Event()):\n"
        "    print('confluent_kafka' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "False\nTrue\n" == done.stdout
