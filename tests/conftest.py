"""Fixtures for every test: real servers for the session, and names that no other test uses.

Every process that a test starts ends with the test run, see `tests.support.processes`.
"""

from __future__ import annotations

import os
import re
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.support.ambient_aws import no_ambient_aws
from tests.support.ambient_azure import no_ambient_azure
from tests.support.ambient_google import no_ambient_google
from tests.support.kafka import DEFAULT_VERSION, KafkaCluster, MissingToolError, require_tools
from tests.support.processes import guard_children, interrupt_on
from tests.support.store_programs import require_azurite, require_fake_gcs, require_minio

if TYPE_CHECKING:
    from tests.support.azurite import Azurite
    from tests.support.certificates import Authority
    from tests.support.fake_gcs import FakeGcs
    from tests.support.installation import Installation
    from tests.support.object_stores import MinIO, MiniStack

_Server = TypeVar("_Server")

KAFKA_VERSION = os.environ.get("KAFKA_VERSION", DEFAULT_VERSION)


def pytest_configure() -> None:
    """SIGTERM and SIGHUP end the fixtures, as Ctrl-C does. The guard ends all that is left, after SIGKILL too."""
    guard_children()
    interrupt_on(signal.SIGTERM, signal.SIGHUP)


_SLOW_SERVERS = ("installation", "prefect_api", "secured")
_SERVER_TESTS = ("integration", "chaos")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Choose the worker of each test in a parallel run (`--dist loadgroup`); xdist starts the largest groups first.

    All tests of a server that starts slowly are in one worker, because otherwise each worker would start its own. Of
    the tests with real servers, those of a file are in one worker, because they share what the file starts. `tryfirst`,
    because xdist reads the groups in the same hook, and later groups have no effect.
    """
    for item in items:
        if (group := _group_of(item)) is not None:
            item.add_marker(pytest.mark.xdist_group(group))


def _group_of(item: pytest.Item) -> str | None:
    fixtures = getattr(item, "fixturenames", ())
    servers = [name for name in _SLOW_SERVERS if name in fixtures]
    if servers:
        return servers[0]
    if item.path.parent.name in _SERVER_TESTS:
        return item.path.name
    return "kafka" if "kafka" in fixtures else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests whose servers cannot be started here are skipped with the reason, and fail in CI."""
    for name, require in _SERVERS.items():
        if item.get_closest_marker(name) is None or (reason := _why_not(require)) is None:
            continue
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def _why_not(require: Callable[[], None]) -> str | None:
    try:
        require()
    except MissingToolError as error:
        return str(error)
    return None


_SERVERS: Mapping[str, Callable[[], None]] = {
    "kafka": lambda: require_tools(KAFKA_VERSION),
    "minio": require_minio,
    "azurite": require_azurite,
    "fake_gcs": require_fake_gcs,
}
"""By marker: what raises unless the server can be started."""


@pytest.fixture(scope="session", autouse=True)
def _no_ambient_aws() -> Iterator[None]:
    """No test depends on what this machine knows of AWS."""
    with no_ambient_aws():
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_ambient_azure() -> Iterator[None]:
    """No test depends on what this machine knows of Azure."""
    with no_ambient_azure():
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_ambient_google() -> Iterator[None]:
    """No test depends on what this machine knows of Google's cloud."""
    with no_ambient_google():
        yield


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaCluster]:
    """One Kafka node for all tests of the session, of the version in the environment variable KAFKA_VERSION.

    Tests share it: they use names of their own, and do not stop it.
    """
    with KafkaCluster(KAFKA_VERSION) as cluster:
        yield cluster


@contextmanager
def _over_tls(
    server_of: Callable[[Authority], AbstractContextManager[_Server]], folders: pytest.TempPathFactory
) -> Iterator[tuple[_Server, Path]]:
    """(a server with a certificate of a new authority, the file with the certificate of the authority)."""
    from tests.support.certificates import Authority

    authority = Authority(folders.mktemp("authority"))
    with server_of(authority) as server:
        yield server, authority.ca


@pytest.fixture(scope="session")
def minio() -> Iterator[MinIO]:
    """One MinIO over http for all tests of the session, which use buckets or prefixes of their own."""
    from tests.support.object_stores import MinIO  # here, since no other test pays for importing boto3

    with MinIO() as server:
        yield server


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """One Azurite over http for all tests of the session, which use containers of their own."""
    from tests.support.azurite import Azurite  # here, since no other test pays for importing the SDK

    with Azurite() as server:
        yield server


@pytest.fixture(scope="session")
def _azurite_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Azurite, Path]]:
    from tests.support.azurite import Azurite

    with _over_tls(lambda authority: Azurite(authority=authority), tmp_path_factory) as opened:
        yield opened


@pytest.fixture
def azurite_tls(_azurite_tls: tuple[Azurite, Path], monkeypatch: pytest.MonkeyPatch) -> Azurite:
    """One Azurite over TLS for all tests of the session. The test and the processes that it starts trust it."""
    server, ca = _azurite_tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
    return server


@pytest.fixture(scope="session")
def fake_gcs() -> Iterator[FakeGcs]:
    """One fake-gcs-server over http for all tests of the session, which use buckets of their own."""
    from tests.support.fake_gcs import FakeGcs  # here, since no other test pays for importing the SDK

    with FakeGcs() as server:
        yield server


@pytest.fixture(scope="session")
def _fake_gcs_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeGcs, Path]]:
    from tests.support.fake_gcs import FakeGcs

    with _over_tls(lambda authority: FakeGcs(authority=authority), tmp_path_factory) as opened:
        yield opened


@pytest.fixture
def fake_gcs_tls(_fake_gcs_tls: tuple[FakeGcs, Path], monkeypatch: pytest.MonkeyPatch) -> FakeGcs:
    """One fake-gcs-server over TLS for all tests of the session. The test and the processes that it starts trust it."""
    server, ca = _fake_gcs_tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
    return server


@pytest.fixture(scope="session")
def ministack() -> Iterator[MiniStack]:
    """One MiniStack for all tests of the session, which use buckets of their own."""
    from tests.support.object_stores import MiniStack

    with MiniStack() as server:
        yield server


@pytest.fixture(scope="session")
def _minio_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MinIO, Path]]:
    from tests.support.object_stores import MinIO

    with _over_tls(lambda authority: MinIO(authority=authority), tmp_path_factory) as opened:
        yield opened


@pytest.fixture
def minio_tls(_minio_tls: tuple[MinIO, Path], monkeypatch: pytest.MonkeyPatch) -> MinIO:
    """One MinIO over TLS for all tests of the session. The test and the processes that it starts trust it."""
    server, ca = _minio_tls
    monkeypatch.setenv("AWS_CA_BUNDLE", str(ca))
    return server


@pytest.fixture(scope="session")
def installation(kafka: KafkaCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One Prefect server with everything deployed and a worker, for all tests of the session.

    Tests share it: each uses a backup set of its own, and what it kills it starts again.
    """
    from tests.support.installation import installed  # here, since no other test pays for importing Prefect

    with installed(tmp_path_factory.mktemp("installation"), kafka.bootstrap_servers) as installation:
        yield installation


@pytest.fixture
def topic_name(request: pytest.FixtureRequest) -> str:
    """A name for this test's topic; also a stem for further names, since no other test's name starts with it."""
    test = re.sub(r"[^A-Za-z0-9._-]+", "-", request.node.name)[:60].strip("-")
    return f"{test}-{uuid.uuid4().hex[:8]}"
