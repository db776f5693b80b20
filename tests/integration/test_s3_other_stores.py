"""Stores that speak S3 otherwise than MinIO, which a proxy before MinIO stands for, and stores that do not answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from pydantic import SecretStr

from tasks.config.adapters import store_of
from tasks.config.new_repository import opened_or_created
from tasks.model.errors import (
    AccessError,
    ConfigError,
    KafkaBackupError,
    ObjectChangedError,
    ObjectExistsError,
    StoreUnavailableError,
)
from tasks.store.protocol import ObjectStore
from tasks.store.retrying import RetryingStore
from tasks.store.s3.s3_store import S3Store
from tasks.store.s3.settings import S3Settings
from tests.support.made_backup import SET, back_up, keys, make_repository
from tests.support.made_logs import plain_log
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO
from tests.support.tcp_proxy import Answer, Request, TcpProxy

pytestmark = pytest.mark.minio


@pytest.fixture
def proxy(minio: MinIO) -> Iterator[TcpProxy]:
    with TcpProxy(minio.port) as running:
        yield running


@pytest.fixture
def behind(minio: MinIO) -> ObjectStore:
    """The bucket without the proxy."""
    return S3Store(minio.settings(minio.new_bucket()))


def _settings(minio: MinIO, behind: ObjectStore, proxy: TcpProxy, **changes: Any) -> S3Settings:
    bucket = behind.location.removeprefix("s3://")
    return minio.settings(bucket, **{"endpoint": proxy.endpoint, **changes})


def _refusal(settings: S3Settings, kind: type[KafkaBackupError]) -> str:
    """Why no repository is created there."""
    with pytest.raises(kind) as refused:
        opened_or_created(settings, lambda: 1)
    return str(refused.value)


def _create(store: ObjectStore, key: str, body: bytes) -> None:
    store.put_if_absent(key, [body], sha256=sha256(body).hexdigest())


def test_a_store_that_wants_content_md5_for_bulk_deletes_gets_it(
    minio: MinIO, behind: ObjectStore, proxy: TcpProxy
) -> None:
    def lacks_md5(request: Request) -> bool:
        return request.method == "POST" and not request.has("Content-MD5")

    proxy.refuse_when(lacks_md5, Answer(400, "InvalidRequest"))
    repository = make_repository(store_of(_settings(minio, behind, proxy)))
    back_up(repository, [plain_log("orders", batches=3)])

    repository.store.delete([f"data/{SET}/none"])
    assert [] == keys(behind, "probe/")


@pytest.mark.parametrize(("header", "failed"), [("If-None-Match", "conditional put"), ("If-Match", "conditional swap")])
def test_a_store_without_a_condition_is_refused_by_name_and_nothing_is_left_in_it(
    minio: MinIO, behind: ObjectStore, proxy: TcpProxy, header: str, failed: str
) -> None:
    proxy.refuse_when(lambda request: request.has(header), Answer(501, "NotImplemented"))

    said = _refusal(_settings(minio, behind, proxy), ConfigError)

    assert f"{failed} failed" in said
    assert "It answers: " in said
    assert "NotImplemented" in said
    assert [] == keys(behind)


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "PreconditionFailed", "ObjectAlreadyExists"])
def test_a_store_that_answers_409_to_every_lost_condition_works(
    minio: MinIO, behind: ObjectStore, proxy: TcpProxy, code: str
) -> None:
    proxy.rewrite(412, Answer(409, code))
    waits: list[float] = []
    store = RetryingStore(S3Store(_settings(minio, behind, proxy)), sleep=waits.append)

    make_repository(store)
    _create(store, "a", b"first")
    with pytest.raises(ObjectExistsError):
        _create(store, "a", b"second")
    first = store.compare_and_swap("b", [b"1"], expected=None).version
    store.compare_and_swap("b", [b"2"], expected=first)
    for stale in (first, None):
        with pytest.raises(ObjectChangedError):
            store.compare_and_swap("b", [b"3"], expected=stale)

    assert (b"first", b"2") == (store.get("a")[0], store.get("b")[0])
    assert [] == waits


def test_a_passing_conflict_is_repeated(minio: MinIO, behind: ObjectStore, proxy: TcpProxy) -> None:
    store = RetryingStore(S3Store(_settings(minio, behind, proxy)), sleep=lambda seconds: None)
    for key, expected in (("a", None), ("b", behind.put("b", [b"0"]).version)):
        proxy.arm(Answer(409, "ConditionalRequestConflict"), method="PUT")
        store.compare_and_swap(key, [b"x"], expected=expected)
        assert b"x" == behind.get(key)[0]


def test_a_policy_that_wants_encryption_is_named_and_sse_sends_the_header(
    minio: MinIO, behind: ObjectStore, proxy: TcpProxy
) -> None:
    seen: list[bytes] = []

    def is_plain(request: Request) -> bool:
        if request.method == "PUT":
            seen.append(request.head)
        return request.method == "PUT" and not request.has("x-amz-server-side-encryption")

    proxy.refuse_when(is_plain, Answer(403, "AccessDenied"))
    said = _refusal(_settings(minio, behind, proxy), AccessError)
    assert "a policy of the bucket can require encryption of every object: then set sse and sse_kms_key_id" in said
    assert [] == keys(behind)

    seen.clear()
    said = _refusal(_settings(minio, behind, proxy, sse="aws:kms", sse_kms_key_id="key-1"), ConfigError)
    assert "Remove sse" in said  # because this MinIO has no keys
    head = seen[0].lower()
    assert b"x-amz-server-side-encryption: aws:kms" in head
    assert b"x-amz-server-side-encryption-aws-kms-key-id: key-1" in head


def test_credentials_that_may_only_read_are_told_so_before_the_first_write(
    minio: MinIO, behind: ObjectStore, proxy: TcpProxy
) -> None:
    proxy.refuse_when(lambda request: request.method in ("PUT", "POST"), Answer(403, "AccessDenied"))
    assert "The credentials need s3:PutObject" in _refusal(_settings(minio, behind, proxy), AccessError)


# ── the first contact ───────────────────────────────────────────────────────────────────────────────────────────────


def _dead_end(endpoint: str, **changes: object) -> S3Settings:
    section = {"bucket": "backups", "region": "us-east-1", "endpoint": endpoint, "path_style": True, "allow_http": True}
    keys_ = {"access_key": ROOT_CREDENTIALS.access_key, "secret_key": SecretStr(ROOT_CREDENTIALS.secret_key)}
    return S3Settings.model_validate({**section, **keys_, "connect_timeout_ms": 1_000, **changes})


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def hanging_up() -> Iterator[int]:
    """A port that closes every connection without an answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("kind", ["silent", "closed", "hanging_up"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_store_that_does_not_answer_is_given_up_after_the_connect_timeout(
    request: pytest.FixtureRequest, kind: str, scheme: str
) -> None:
    store = store_of(_dead_end(f"{scheme}://127.0.0.1:{request.getfixturevalue(kind)}"))
    with pytest.raises(StoreUnavailableError, match=r"There was no answer within 1 s \(connect_timeout_ms\)"):
        store.get("repository.json")


def test_an_http_endpoint_that_speaks_tls_is_a_mistake_at_once(minio_tls: MinIO) -> None:
    endpoint = minio_tls.endpoint.replace("https:", "http:")
    with pytest.raises(ConfigError, match=f"^The endpoint {endpoint} speaks TLS: write it with https://$"):
        store_of(_dead_end(endpoint)).get("repository.json")


def test_a_store_that_answered_has_the_long_timeouts(minio: MinIO, behind: ObjectStore, proxy: TcpProxy) -> None:
    store = S3Store(_settings(minio, behind, proxy, connect_timeout_ms=1_000))
    behind.put("a", [b"x"])
    assert b"x" == store.get("a")[0]

    released = threading.Event()

    def is_slow(request: Request) -> bool:
        if request.method == "GET":
            released.wait(1.0)  # longer than a first answer may take
        return False

    proxy.refuse_when(is_slow, Answer(500, "never"))
    assert b"x" == store.get("a")[0]


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize("end", ["\n", "\r"])
def test_credentials_of_the_environment_with_a_line_break_are_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, closed: int, name: str, end: str
) -> None:
    for one in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(one, "marker")
    monkeypatch.setenv(name, f"marker{end}")
    settings = _dead_end(f"http://127.0.0.1:{closed}", access_key=None, secret_key=None)

    with pytest.raises(ConfigError, match=f"The environment variable {name} ends with a line break") as refused:
        S3Store(settings)
    assert "marker" not in str(refused.value)
