"""A run that cannot begin ends with its exit code and one sentence, and leaves everything as it was: no repository, no
folder, no object, no topic, no group.

The table has a row for each kind of early failure. A row is tried with a repository in a folder, in a
bucket, or in both.
"""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from tasks.broker.messages.api_keys import ApiKey
from tasks.cli.main import app
from tasks.repository.leases import acquire, kept
from tasks.repository.names import capture_lease_key
from tasks.store.local.settings import LocalSettings
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ObjectStore
from tasks.store.registry import StorageSettings, open_store
from tests.support.command import security_keys
from tests.support.made_backup import SET, back_up, make_repository
from tests.support.made_logs import plain_log
from tests.support.misleading_kafka import MisleadingKafka
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO
from tests.support.positions import commit_positions
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.round_trip import Backups
from tests.support.secured_kafka import PASSWORD, SASL_PLAINTEXT, SHORT, SSL, Acl, SecuredKafka
from tests.support.surroundings import Observer

pytestmark = [pytest.mark.kafka, pytest.mark.minio]

Job = Literal["backup", "restore"]
Place = Literal["folder", "bucket"]

BACKUP: tuple[Job, ...] = ("backup",)
RESTORE: tuple[Job, ...] = ("restore",)
FOLDER: tuple[Place, ...] = ("folder",)
BUCKET: tuple[Place, ...] = ("bucket",)
BOTH: tuple[Place, ...] = ("folder", "bucket")
TOPIC, FILLED = "begins", "begins-filled"
FIRST_CONTACT_MS = 1_000


class Servers(NamedTuple):
    """The clusters and the store, and a backup of the topics TOPIC and FILLED in the set `set`."""

    secured: SecuredKafka
    misleading: MisleadingKafka
    minio: MinIO
    backup: MemoryStore
    observer: Observer


@dataclass
class Run:
    """A run that would succeed, until a row of the table spoils its file or its surroundings.

    `document` is the content of the file, and `text` replaces it. `store` is where the file's repository is or will be.
    What a row opens for the run is closed by `ending`.
    """

    job: Job
    servers: Servers
    folder: Path
    bucket: str
    document: dict[str, Any]
    location: StorageSettings
    arguments: list[str] = field(default_factory=list)
    text: str | None = None
    ending: ExitStack = field(default_factory=ExitStack)

    @property
    def file(self) -> Path:
        """Its file."""
        return self.folder / "run.yaml"

    @property
    def cluster(self) -> dict[str, Any]:
        """The section of the cluster."""
        section: dict[str, Any] = self.document["source" if self.job == "backup" else "target"]
        return section

    @property
    def storage(self) -> dict[str, Any]:
        """The section of the repository."""
        section: dict[str, Any] = self.document["storage"]
        return section

    def write(self, text: str) -> None:
        """Replace the whole file."""
        self.text = text

    def select(self, pattern: str) -> None:
        """Select other topics."""
        self.cluster["topics"] = {"include": [pattern]}

    def restore_with(self, **options: object) -> None:
        """Add options of the restore."""
        self.document["restore"].update(options)

    def map_to(self, target: str) -> None:
        """Restore into this topic."""
        self.restore_with(topic_mapping={TOPIC: target})

    def store_at(self, address: str) -> None:
        """Look for the store at another address."""
        self.storage["endpoint"] = f"http://{address}"

    def connect_to(self, address: str) -> None:
        """Look for the cluster at another address."""
        self.cluster["bootstrap_servers"] = [address]

    def mislead(self, listener: str) -> None:
        """Connect to a listener that advertises something else."""
        self.connect_to(self.servers.misleading.address(listener))

    def lack(self, api_key: ApiKey, newest: int) -> None:
        """Connect to a broker that knows a request only up to this version."""
        proxy = self.servers.misleading.proxy
        proxy.change = lambda announced: {**announced, api_key: (announced[api_key][0], newest)}
        self.ending.callback(setattr, proxy, "change", dict)
        self.mislead("PROXIED")

    def come_as(self, listener: str, user: str, password: str = "wrong") -> None:
        """Connect to a listener with SASL."""
        secured = self.servers.secured
        self.connect_to(secured.address(listener))
        self.cluster["security"] = security_keys(secured.security(listener, "SCRAM-SHA-256", user, password))

    def come_with(self, *operations: str) -> None:
        """Connect as a new user who has these permissions on the topics of this job, and no others."""
        secured, user = self.servers.secured, f"user-{self.bucket}"
        secured.add_user(user)
        topic = TOPIC if self.job == "backup" else f"{TOPIC}-target"
        secured.allow(user, [Acl("TOPIC", topic, operation) for operation in operations])
        self.come_as(SASL_PLAINTEXT, user, PASSWORD)

    def fill_store(self) -> ObjectStore:
        """Copy the backup to where the repository will be."""
        store = open_store(self.location, create=True)
        for info in self.servers.backup.list(""):
            store.put(info.key, [self.servers.backup.get(info.key)[0]])
        return store


@dataclass(frozen=True)
class Kind:
    """A kind of early failure: the exit code, a part of the sentence, and what spoils the run."""

    name: str
    code: int
    said: str
    spoil: Callable[[Run], object]
    jobs: tuple[Job, ...] = ("backup", "restore")
    places: tuple[Place, ...] = FOLDER


def _closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def _silent_port(run: Run) -> str:
    listener = run.ending.enter_context(socket.create_server(("127.0.0.1", 0)))
    return f"127.0.0.1:{listener.getsockname()[1]}"


def _below_a_file(run: Run) -> None:
    (run.folder / "file").touch()
    run.storage["path"] = str(run.folder / "file" / "repository")


def _read_only(run: Run) -> None:
    run.ending.enter_context(patch("os.mkdir", side_effect=OSError(errno.EROFS, "Read-only file system")))


def _back_up_another_cluster(run: Run) -> None:
    back_up(make_repository(open_store(run.location, create=True)), [plain_log(TOPIC, batches=3)])
    run.document["backup_id"] = SET


def _map_into_another(run: Run) -> None:
    run.cluster["topics"] = {"include": [TOPIC, FILLED]}
    run.restore_with(topic_mapping={TOPIC: FILLED})


def _purge(run: Run) -> None:
    run.map_to(FILLED)
    run.restore_with(purge_topics=True)


def _hold_the_lease(run: Run) -> None:
    store = run.fill_store()
    run.ending.enter_context(kept(acquire(store, capture_lease_key("set"), ttl_ms=1_000), threading.Event()))


KINDS = (
    # ── the file
    Kind("bad YAML", 2, "run.yaml:3: not valid YAML", lambda run: run.write("mode: backup\nsource: [\n")),
    Kind("unknown key", 2, "unknown key 'sauce'", lambda run: run.document.update(sauce={})),
    Kind("missing variable", 2, "NO_SUCH is not set", lambda run: run.document.update(backup_id="${NO_SUCH}")),
    Kind("bad set name", 2, "'a/b' is not a name for a backup set", lambda run: run.document.update(backup_id="a/b")),
    Kind("bad pattern", 2, "'~(' is not a regular expression", lambda run: run.select("~(")),
    Kind("bad topic name", 2, "'a b' is not the name of a topic", lambda run: run.map_to("a b"), RESTORE),
    # ── the store
    Kind("no bucket", 10, "There is no bucket", lambda run: run.storage.update(bucket="no-such-bucket"), places=BUCKET),
    Kind("wrong key", 12, "the secret key does not", lambda run: run.storage.update(secret_key="wrong"), places=BUCKET),
    Kind("closed store", 1, "connection refused", lambda run: run.store_at(_closed_port()), places=BUCKET),
    Kind(
        "silent store", 1, "There was no answer within 1 s", lambda run: run.store_at(_silent_port(run)), places=BUCKET
    ),
    Kind("file as folder", 2, "is a file, and the repository needs a folder", _below_a_file, BACKUP),
    Kind("read-only folder", 12, "Read-only file system", _read_only, BACKUP),
    Kind("no repository", 10, "make a first backup", lambda run: run.storage.update(prefix="elsewhere"), RESTORE),
    # ── the cluster
    Kind("closed port", 1, "connection refused", lambda run: run.connect_to(_closed_port()), places=BOTH),
    Kind("silent port", 1, "failed: timed out", lambda run: run.connect_to(_silent_port(run))),
    Kind("unknown name", 1, "kafka.invalid is unknown", lambda run: run.connect_to("kafka.invalid:9092")),
    Kind("advertises an unknown name", 1, "advertises the address kafka", lambda run: run.mislead("NAMELESS")),
    Kind("advertises a closed port", 1, "advertises the address 127", lambda run: run.mislead("CLOSED")),
    Kind("advertises the controller", 2, "advertises the address", lambda run: run.mislead("CONTROLLED")),
    Kind(
        "controller",
        2,
        "is a controller's listener. Use the",
        lambda run: run.connect_to(run.servers.misleading.kafka.controller),
    ),
    Kind("Fetch is too old", 2, "of the request Fetch, but broker 127.0.0.1:", lambda run: run.lack(ApiKey.FETCH, 11)),
    Kind("Metadata is too old", 2, "of the request Metadata, but broker", lambda run: run.lack(ApiKey.METADATA, 9)),
    Kind(
        "TLS on a plain port",
        2,
        "does not use TLS on this port",
        lambda run: run.cluster.update(security={"security_protocol": "SSL"}),
    ),
    Kind(
        "plain on a TLS port",
        2,
        "if the port expects TLS",
        lambda run: run.connect_to(run.servers.secured.address(SSL)),
    ),
    Kind(
        "wrong password",
        12,
        "does not accept the credentials",
        lambda run: run.come_as(SASL_PLAINTEXT, "nobody"),
        places=BOTH,
    ),
    Kind("wrong mechanism", 2, "does not offer the sasl_mechanism", lambda run: run.come_as(SHORT, "nobody")),
    # ── permissions
    Kind("no permission", 12, "Read on Topic begins", lambda run: run.come_with(), places=BOTH),
    Kind("no Read", 12, "needs Read on Topic begins", lambda run: run.come_with("DESCRIBE_CONFIGS"), BACKUP, BOTH),
    Kind("no DescribeConfigs", 12, "needs DescribeConfigs on", lambda run: run.come_with("READ"), BACKUP),
    Kind(
        "no Create",
        12,
        "needs Create on Topic",
        lambda run: run.come_with("WRITE", "READ", "ALTER_CONFIGS"),
        RESTORE,
        BOTH,
    ),
    # ── what is backed up or restored
    Kind("no topic matches", 2, "matches no topic", lambda run: run.select("nothing*"), BACKUP, BOTH),
    Kind("no topic of the point matches", 3, "matches no topic", lambda run: run.select("nothing*"), RESTORE),
    Kind("set of another cluster", 2, "belongs to cluster", _back_up_another_cluster, BACKUP, BOTH),
    Kind("held lease", 11, "is held by writer", _hold_the_lease, BACKUP, BOTH),
    Kind("no set", 10, "There is no backup set", lambda run: run.document.update(backup_id="nothing"), RESTORE),
    Kind("no point", 10, "set@7 is not a restore point", lambda run: run.document.update(backup_id="set@7"), RESTORE),
    # ── where it is restored to
    Kind("target with records", 3, "it is not empty (1 offset)", lambda run: run.map_to(FILLED), RESTORE, BOTH),
    Kind("a topic into another", 3, "itself is restored too", _map_into_another, RESTORE),
    Kind("purge without consent", 2, "Confirm this with --yes", _purge, RESTORE),
    Kind(
        "no place for the state",
        2,
        "is a file, and the repository needs a folder",
        lambda run: run.arguments.extend(["--state", f"{run.file}/x"]),
        RESTORE,
    ),
)


@pytest.fixture(scope="module")
def servers(secured: SecuredKafka, misleading: MisleadingKafka, minio: MinIO) -> Servers:
    bootstrap, backup = secured.cluster.bootstrap, MemoryStore()
    for topic in (TOPIC, FILLED):
        create_topic(bootstrap, topic)
        produce(bootstrap, topic, [OutRecord(b"key", b"value")])
    commit_positions(bootstrap, "begins-group", TOPIC, {0: 1})
    create_topic(misleading.kafka.bootstrap, TOPIC)
    Backups(bootstrap_servers=secured.cluster.bootstrap_servers, store=backup).back_up([TOPIC, FILLED])
    return Servers(secured, misleading, minio, backup, Observer(bootstrap, minio.client))


@pytest.fixture
def run(servers: Servers, tmp_path: Path, place: Place, job: Job) -> Iterator[Run]:
    bucket = servers.minio.new_bucket()
    storage: dict[str, Any] = {"backend": "filesystem", "path": str(tmp_path / "repository")}
    location: StorageSettings = LocalSettings(path=storage["path"])
    if place == "bucket":
        location = servers.minio.settings(bucket, "team", connect_timeout_ms=FIRST_CONTACT_MS)
        storage = location.model_dump(mode="json", exclude_defaults=True) | {"backend": "s3"} | asdict(ROOT_CREDENTIALS)
    cluster = {
        "bootstrap_servers": list(servers.secured.cluster.bootstrap_servers),
        "connection": {"connect_timeout_ms": FIRST_CONTACT_MS},
        "topics": {"include": [TOPIC]},
    }
    document: dict[str, Any] = {"mode": job, "backup_id": "set", "storage": storage}
    if job == "backup":
        document["source"] = cluster
    else:
        document |= {"target": cluster, "restore": {"topic_mapping": {TOPIC: f"{TOPIC}-target"}}}
    made = Run(job, servers, tmp_path, bucket, document, location)
    if job == "restore":
        made.fill_store()
    with made.ending:
        yield made


@pytest.mark.parametrize(
    ("kind", "job", "place"),
    [
        pytest.param(kind, job, place, id=f"{kind.name}, {job}, {place}")
        for kind in KINDS
        for job in kind.jobs
        for place in kind.places
    ],
)
def test_nothing_is_left_behind_by_a_run_that_never_began(run: Run, kind: Kind) -> None:
    kind.spoil(run)
    run.file.write_text(run.text or json.dumps(run.document))
    before = run.servers.observer.look(run.folder, run.bucket)

    ended = CliRunner().invoke(app, [run.job, "--config", str(run.file), *run.arguments])

    assert kind.code == ended.exit_code, ended.output
    lines = [line for line in ended.stderr.splitlines() if "waiting for " not in line]
    [sentence] = [line for line in lines if line.startswith("kafka-backup: ")]
    assert lines[-1] == sentence, "the last line says why"
    assert kind.said in sentence
    assert sentence[-1] in ".?"
    assert before == run.servers.observer.look(run.folder, run.bucket)
