"""Every protocol and mechanism on real listeners, on both planes: what works, what each mistake is told, and sessions
that end before the work does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.groups import list_groups
from tasks.broker.auth.security import Security
from tasks.broker.kafka_access import KafkaAccess
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import BrokerAddress, Connection, ConnectionOptions
from tasks.broker.raw.fetch import Fetcher
from tasks.broker.raw.metadata import metadata_request
from tasks.engine.options import BackupOptions
from tasks.model.errors import AccessError, ConfigError, InterruptedRunError, KafkaBackupError
from tasks.model.partition import Partition
from tests.support.certificates import Authority
from tests.support.command import Command, Ran
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.reading import read_all
from tests.support.round_trip import Backups
from tests.support.secured_kafka import (
    ADMIN,
    MECHANISMS,
    MTLS,
    PASSWORD,
    SASL_PLAINTEXT,
    SASL_SSL,
    SESSION_MS,
    SHORT,
    SHORT_MECHANISMS,
    SSL,
    SecuredKafka,
)

pytestmark = pytest.mark.kafka

Way = tuple[str, str | None]
"""A listener and a mechanism."""

WAYS: list[Way] = [
    (SSL, None),
    (MTLS, None),
    *((listener, mechanism) for listener in (SASL_PLAINTEXT, SASL_SSL) for mechanism in MECHANISMS),
    *((SHORT, mechanism) for mechanism in SHORT_MECHANISMS),
]
AT_ONCE_S = 10.0
"""What cannot get better is told within this; what may pass is tried for a minute and more."""


def _changed(security: Security, **said: str | None) -> Security:
    return Security.model_validate({**security.model_dump(exclude_none=True), **said})


def _with_encrypted_key(secured: SecuredKafka) -> Security:
    leaf = secured.encrypted_client
    shown = {"ssl_certificate_location": str(leaf.certificate), "ssl_key_location": str(leaf.key)}
    return _changed(secured.security(MTLS), **shown, ssl_key_password=PASSWORD)


def _with_token_file(secured: SecuredKafka, listener: str, path: Path, *, lifetime_s: int = 600) -> Security:
    path.write_text(secured.issuer.token(ADMIN, lifetime_s=lifetime_s))
    said = {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_file": str(path)}
    return Security.model_validate({**said, "ssl_ca_location": str(secured.authority.ca)})


def _filled(secured: SecuredKafka, topic: str, *, count: int = 100, size: int = 10) -> None:
    bootstrap = secured.cluster.bootstrap
    create_topic(bootstrap, topic)
    records = [OutRecord(b"%d" % number, bytes([number % 251]) * size) for number in range(count)]
    produce(bootstrap, topic, records, records_per_batch=50)


def _read_once(connection: ConnectionOptions, topic: str) -> int:
    """Ask both planes about the topic, and fetch; returns how many bytes of batches came."""
    with Admin(connection) as admin:
        [described] = admin.describe_topics([topic])
        list_groups(admin)
    with Cluster(connection) as cluster:
        fetcher = Fetcher(cluster, stop=threading.Event())
        fetcher.send(Partition(topic, described.topic_id, 0), 0, None)
        return len(fetcher.receive().records)


def _read_by_librdkafka(connection: ConnectionOptions, topic: str) -> int:
    """The number of records that the second reader of drills reads."""
    with Admin(connection) as admin:
        [described] = admin.describe_topics([topic])
    partition = Partition(topic, described.topic_id, 0)
    with KafkaAccess(connection).record_reader(threading.Event()) as reader:
        return sum(len(part.offsets) for part in reader.read(partition, *reader.bounds(partition)))


# ── what works ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(part for part in way if part))
def test_both_planes_and_the_second_reader_get_in(secured: SecuredKafka, topic_name: str, way: Way) -> None:
    listener, mechanism = way
    security = secured.security(listener, mechanism)
    _filled(secured, topic_name)

    assert _read_once(secured.connection(listener, security), topic_name) > 1_000
    assert 100 == len(read_all(secured.address(listener), topic_name, security=security))
    assert 100 == _read_by_librdkafka(secured.connection(listener, security), topic_name)


def test_librdkafka_does_not_retry_a_wrong_password(
    secured: SecuredKafka, topic_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _filled(secured, topic_name)
    good = secured.security(SASL_SSL, "SCRAM-SHA-512")
    with Admin(secured.connection(SASL_SSL, good)) as admin:
        [found] = admin.describe_topics([topic_name])
    wrong = replace(secured.connection(SASL_SSL, good), security=_changed(good, sasl_password="not-it"))
    began = time.monotonic()
    # The check of the topic id, which this program's own connections make, would fail first.
    monkeypatch.setattr(Admin, "describe_topics", lambda *_: [found])
    with KafkaAccess(wrong).record_reader(threading.Event()) as reader, pytest.raises(AccessError) as caught:
        reader.bounds(Partition(topic_name, found.topic_id, 0))
    assert time.monotonic() - began < AT_ONCE_S
    assert "not-it" not in str(caught.value)


def _command_ways(secured: SecuredKafka, folder: Path) -> Iterator[tuple[str, Security]]:
    yield SSL, secured.security(SSL)
    yield MTLS, _with_encrypted_key(secured)
    yield SASL_PLAINTEXT, secured.security(SASL_PLAINTEXT, "PLAIN")
    yield SASL_SSL, secured.security(SASL_SSL, "SCRAM-SHA-512")
    yield SASL_SSL, secured.security(SASL_SSL, "OAUTHBEARER")
    yield SASL_SSL, _with_token_file(secured, SASL_SSL, folder / "token")


def test_a_backup_and_its_restore_run_through_every_kind_of_protection(
    secured: SecuredKafka, topic_name: str, tmp_path: Path
) -> None:
    _filled(secured, topic_name)
    expected = [(record.key, record.value) for record in read_all(secured.cluster.bootstrap, topic_name)]
    for number, (listener, security) in enumerate(_command_ways(secured, tmp_path)):
        folder = tmp_path / str(number)
        folder.mkdir()
        command, connection = Command(folder=folder), secured.connection(listener, security)
        target = f"{topic_name}-{number}"
        command.write_backup(connection, [topic_name], consumer_group_snapshot=True)
        command.write_restore(connection, {topic_name: target})

        said = [command.back_up().text, command.restore().text]

        assert expected == [(one.key, one.value) for one in read_all(secured.cluster.bootstrap, target)]
        assert all(PASSWORD not in text for text in said)


# ── what each mistake is told ───────────────────────────────────────────────────────────────────────────────────────


def _both_planes(connection: ConnectionOptions) -> list[KafkaBackupError]:
    """How each plane refuses; it must not take long."""
    found = []
    for ask in (_ask_admin, _ask_raw):
        began = time.monotonic()
        with pytest.raises(KafkaBackupError) as caught:
            ask(connection)
        assert time.monotonic() - began < AT_ONCE_S
        assert PASSWORD not in f"{caught.value} {caught.value!r}"
        found.append(caught.value)
    return found


def _ask_admin(connection: ConnectionOptions) -> None:
    with Admin(connection) as admin:
        admin.cluster_id()


def _ask_raw(connection: ConnectionOptions) -> None:
    with Cluster(connection) as cluster:
        cluster.node_ids()


@pytest.mark.parametrize(
    ("way", "at", "change", "kind", "expected"),
    [
        ((SASL_SSL, "PLAIN"), SASL_SSL, {"sasl_password": "wrong"}, AccessError, "accept the credentials (PLAIN)"),
        (
            (SASL_SSL, "SCRAM-SHA-256"),
            SASL_SSL,
            {"sasl_password": "wrong"},
            AccessError,
            "accept the credentials (SCRAM-SHA-256)",
        ),
        (
            (SASL_PLAINTEXT, "SCRAM-SHA-512"),
            SASL_PLAINTEXT,
            {"sasl_username": "nobody"},
            AccessError,
            "accept the credentials (SCRAM-SHA-512)",
        ),
        (
            (SASL_SSL, "OAUTHBEARER"),
            SASL_SSL,
            {"sasl_oauth_client_secret": "wrong"},
            AccessError,
            "(HTTP 401, invalid_client)",
        ),
        ((SSL, None), SSL, {"ssl_ca_location": None}, AccessError, "Set ssl_ca_location"),
        ((SSL, None), MTLS, {}, AccessError, "set ssl_certificate_location and ssl_key_location"),
        ((SSL, None), SASL_PLAINTEXT, {}, ConfigError, "does not use TLS on this port"),
        ((SASL_SSL, "PLAIN"), SASL_PLAINTEXT, {}, ConfigError, "set security_protocol to SASL_PLAINTEXT"),
        ((SASL_PLAINTEXT, "PLAIN"), SASL_SSL, {}, ConfigError, "if the port expects TLS"),
        ((SSL, None), SASL_SSL, {}, ConfigError, "set security_protocol to SASL_SSL"),
        ((SASL_SSL, "PLAIN"), SSL, {}, ConfigError, "set security_protocol to SSL"),
        ((SASL_SSL, "PLAIN"), SHORT, {}, ConfigError, "does not offer the sasl_mechanism PLAIN; it offers OAUTHBEARER"),
    ],
    ids=[
        *("plain", "scram", "user", "oauth", "authority", "no certificate", "TLS to plain", "SASL_SSL to plain"),
        *("plain to TLS", "SASL is wanted", "SASL is not wanted", "mechanism"),
    ],
)
def test_what_no_repetition_mends_is_told_at_once_in_one_sentence(
    secured: SecuredKafka, way: Way, at: str, change: dict[str, str | None], kind: type[Exception], expected: str
) -> None:
    security = _changed(secured.security(*way), **change)
    for error in _both_planes(secured.connection(at, security)):
        assert type(error) is kind
        assert expected in str(error)
        assert 1 == len(str(error).splitlines())


def test_without_any_protection_a_secured_port_says_what_it_wants(secured: SecuredKafka) -> None:
    for listener, expected in (
        (SASL_PLAINTEXT, "requires SASL (OAUTHBEARER, PLAIN, SCRAM-SHA-256, SCRAM-SHA-512): set security_protocol to"),
        (SSL, "if the port expects TLS, set security_protocol to SSL or SASL_SSL"),
    ):
        for error in _both_planes(secured.connection(listener, Security())):
            assert isinstance(error, ConfigError)
            assert expected in str(error)


def test_a_certificate_for_another_host_is_not_trusted(secured: SecuredKafka) -> None:
    """The broker's is for 127.0.0.1."""
    connection = secured.connection(SSL, secured.security(SSL))
    by_name = replace(connection, bootstrap_servers=(f"localhost:{secured.cluster.listeners[SSL]}",))
    for error in _both_planes(by_name):
        assert isinstance(error, AccessError)
        assert "does not name localhost; it names 127.0.0.1" in str(error)


def test_a_client_certificate_of_a_strange_authority_is_not_accepted(secured: SecuredKafka, tmp_path: Path) -> None:
    leaf = Authority(tmp_path).issue("stranger")
    shown = {"ssl_certificate_location": str(leaf.certificate), "ssl_key_location": str(leaf.key)}
    for error in _both_planes(secured.connection(MTLS, _changed(secured.security(MTLS), **shown))):
        assert isinstance(error, AccessError)
        assert "does not accept the client certificate" in str(error)


def test_a_token_that_no_broker_believes_is_told(secured: SecuredKafka, tmp_path: Path) -> None:
    security = _with_token_file(secured, SASL_SSL, tmp_path / "token")
    signed, _, signature = (tmp_path / "token").read_text().rpartition(".")
    (tmp_path / "token").write_text(f"{signed}.{signature[::-1]}")
    for error in _both_planes(secured.connection(SASL_SSL, security)):
        assert isinstance(error, AccessError)
        assert "does not accept the credentials (OAUTHBEARER)" in str(error)


def test_the_command_says_what_is_wrong_and_shows_no_secret(
    secured: SecuredKafka, topic_name: str, tmp_path: Path
) -> None:
    _filled(secured, topic_name)
    command = Command(folder=tmp_path)

    def backup(security: Security, *, code: int) -> Ran:
        command.write_backup(secured.connection(SASL_SSL, security), [topic_name])
        ran = command.run("backup", "--config", "backup.yaml", "-v", code=code, is_verbose=True)
        assert all(secret not in ran.text for secret in (PASSWORD, "wrong-one", *secured.issuer.issued))
        return ran

    right = secured.security(SASL_SSL, "SCRAM-SHA-256")
    assert "does not accept the credentials" in backup(_changed(right, sasl_password="wrong-one"), code=12).stderr
    assert (
        "if the port expects TLS"
        in backup(_changed(right, security_protocol="SASL_PLAINTEXT", ssl_ca_location=None), code=2).stderr
    )
    assert "/none: No such file" in backup(_changed(right, ssl_ca_location="/none"), code=2).stderr
    oauth = secured.security(SASL_SSL, "OAUTHBEARER")
    assert "invalid_client" in backup(_changed(oauth, sasl_oauth_client_secret="wrong-one"), code=12).stderr
    for security in (right, oauth, secured.security(SASL_SSL, "PLAIN")):
        backup(security, code=0)


def test_waiting_for_a_cluster_that_does_not_answer_ends_when_asked_to() -> None:
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    began = time.monotonic()
    with (
        Admin(ConnectionOptions(bootstrap_servers=("127.0.0.1:1",)), stop=stop) as admin,
        pytest.raises(InterruptedRunError),
    ):
        admin.cluster_id()
    assert time.monotonic() - began < AT_ONCE_S


# ── sessions that end before the work does ──────────────────────────────────────────────────────────────────────────


@contextmanager
def _slowly(secured: SecuredKafka, user: str, bytes_per_second: int) -> Iterator[None]:
    secured.limit_bytes(user, bytes_per_second)
    try:
        yield
    finally:
        secured.limit_bytes(user, None)


def _lingering(*_: object, **__: object) -> None:
    """Progress of a process that has little of the machine: work that takes several sessions."""
    time.sleep(0.2)


def test_a_backup_and_a_restore_that_outlast_their_sessions_lose_no_connection(
    secured: SecuredKafka, topic_name: str
) -> None:
    _filled(secured, topic_name, count=1_400, size=20_000)
    security = secured.security(SHORT, "SCRAM-SHA-512")
    backups = Backups(bootstrap_servers=(secured.address(SHORT),), security=security, workers=1)

    options = BackupOptions(fetch_max_bytes=1 << 20)

    def back_up() -> None:
        assert "complete" == backups.back_up([topic_name], options=options, progress=_lingering).status

    def restore() -> None:
        assert [] == backups.restore({topic_name: f"{topic_name}-restored"}, progress=_lingering).mismatches

    for run in (back_up, restore):
        before, began = secured.sessions(SHORT), time.monotonic()
        run()
        assert time.monotonic() - began > 2 * SESSION_MS / 1000
        during = secured.sessions(SHORT).since(before)
        assert 0 == during.killed
        assert during.renewed >= 2
    expected = [record.value for record in read_all(secured.cluster.bootstrap, topic_name)]
    assert expected == [record.value for record in read_all(secured.cluster.bootstrap, f"{topic_name}-restored")]


def test_a_throttled_backup_renews_its_sessions_before_the_broker_reads_too_late(
    secured: SecuredKafka, topic_name: str, tmp_path: Path
) -> None:
    """A broker that throttles reads the next request only after a pause, and looks at the session then."""
    _filled(secured, topic_name, count=2_000, size=10_000)
    command = Command(folder=tmp_path)
    connection = secured.connection(SHORT, secured.security(SHORT, "SCRAM-SHA-512"))
    command.write_backup(connection, [topic_name], fetch_max_bytes=1 << 20)

    with _slowly(secured, ADMIN, 3_000_000):
        before, began = secured.sessions(SHORT), time.monotonic()
        command.back_up()
        assert time.monotonic() - began > 2 * SESSION_MS / 1000
        during = secured.sessions(SHORT).since(before)

    assert 0 == during.killed
    assert during.renewed >= 2


def _ask(connection: Connection) -> None:
    connection.call(metadata_request(connection, []))


def test_one_connection_is_renewed_again_and_again_and_also_after_it_was_idle_for_too_long(
    secured: SecuredKafka,
) -> None:
    options = secured.connection(SHORT, secured.security(SHORT, "SCRAM-SHA-512"))
    before = secured.sessions(SHORT)
    connection = Connection(BrokerAddress("127.0.0.1", secured.cluster.listeners[SHORT]), options)

    ends = time.monotonic() + 2.5 * SESSION_MS / 1000
    while time.monotonic() < ends:
        _ask(connection)
        time.sleep(0.05)  # the session passes by itself
    time.sleep(1.5 * SESSION_MS / 1000)
    _ask(connection)

    assert (1, 3, 0) == secured.sessions(SHORT).since(before)
    connection.close()


def test_a_token_file_that_is_rotated_is_read_again_before_the_old_token_ends(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    """Here the session ends with the token; this listener itself sets no limit."""
    path = tmp_path / "token"
    options = secured.connection(SASL_SSL, _with_token_file(secured, SASL_SSL, path, lifetime_s=4))
    before = secured.sessions(SASL_SSL)
    connection = Connection(BrokerAddress("127.0.0.1", secured.cluster.listeners[SASL_SSL]), options)
    path.write_text(secured.issuer.token(ADMIN, lifetime_s=600))

    ends = time.monotonic() + 6
    while time.monotonic() < ends:
        _ask(connection)
        time.sleep(0.05)  # the token's life passes by itself

    assert (1, 1, 0) == secured.sessions(SASL_SSL).since(before)
    connection.close()


def test_a_token_endpoint_is_asked_again_before_its_token_ends(secured: SecuredKafka, topic_name: str) -> None:
    _filled(secured, topic_name)
    options = secured.connection(
        SASL_SSL, _changed(secured.security(SASL_SSL, "OAUTHBEARER"), sasl_oauth_scope="short")
    )
    issued, before = len(secured.issuer.issued), secured.sessions(SASL_SSL)
    lifetime_s, secured.issuer.lifetime_s = secured.issuer.lifetime_s, 4
    try:
        with Cluster(options) as cluster:
            ends = time.monotonic() + 6
            while time.monotonic() < ends:
                cluster.node_ids()
                _ask(cluster.any_connection())
                time.sleep(0.05)  # the token's life passes by itself
    finally:
        secured.issuer.lifetime_s = lifetime_s

    assert (1, 0) == secured.sessions(SASL_SSL).since(before)[::2]
    assert 2 <= len(secured.issuer.issued) - issued <= 3
