"""Secrets of blocks and files are in nothing that is written or printed, whether a run succeeds or fails."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from prefect.blocks.core import Block
from prefect.client.schemas.objects import State, StateType

from blocks import KafkaCluster, S3Repository, block_types
from flows.backup import snapshot_backup
from flows.restore import validate_restore
from tasks.engine.options import TopicSelection
from tests.support.command import COMMAND, security_keys
from tests.support.installation import Installation
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.secured_kafka import ADMIN, MTLS, SASL_PLAINTEXT, SASL_SSL, Acl, SecuredKafka

pytestmark = [pytest.mark.kafka, pytest.mark.minio]

SECRETS = {
    "sasl_password": "geheim/password+1",
    "ssl_key_password": "geheim/key+2",
    "sasl_oauth_client_secret": "geheim/client+3",
    "secret_key": "geheim/s3+4",
    "session_token": "geheim/token+5",
}
"""A marker for each field that takes a secret, with characters that other spellings change."""

SHOWN = "visible-user"
"""What is no secret, and is to be found: so that a search which finds nothing is known to search."""


ELSEWHERE = {
    **dict.fromkeys(("account_key", "sas_token"), "test_store_command.py and test_azure_policies.py"),
    **dict.fromkeys(("connection_string", "client_secret"), "test_azure_identities.py"),
    "service_account_json": "the tests of Google Cloud Storage",
    "sse_customer_key": "the tests of the options of S3",
}
"""The secrets that other tests search for, in the output of the command."""


def test_there_is_a_marker_for_every_secret_field() -> None:
    assert {*SECRETS, *ELSEWHERE} == set().union(*(_secret_fields(kind) for kind in block_types().values()))


@pytest.mark.parametrize("slug", block_types())
def test_no_text_of_a_block_shows_a_secret(slug: str) -> None:
    kind = block_types()[slug]
    block = kind(**dict.fromkeys(_secret_fields(kind), "geheim"))
    assert "geheim" not in f"{block!r}{block}{block.model_dump()}{block.model_dump_json()}"


def _secret_fields(kind: type[Block]) -> set[str]:
    return {name for name, field in kind.model_fields.items() if "Secret" in repr(field)}


@pytest.mark.parametrize("prefix", ["", "a", "ab"])
def test_the_search_finds_every_spelling(prefix: str) -> None:
    for secret in SECRETS.values():
        written = (prefix + secret + "!").encode()
        for spelling in (written, quote(written, safe="").encode(), base64.b64encode(written)):
            with pytest.raises(AssertionError, match="is in the text"):
                _search({"the text": b"{" + spelling + b"}"})


class Planted:
    """Sections with markers in them. Some work, the others are refused, since errors are where secrets come out."""

    def __init__(self, secured: SecuredKafka, minio: MinIO, bucket: str, topic: str) -> None:
        self.topic, self.bootstrap = topic, secured.cluster.bootstrap
        secured.add_user(SHOWN, SECRETS["sasl_password"])
        secured.allow(SHOWN, [Acl("TOPIC", topic, "READ"), Acl("TOPIC", topic, "DESCRIBE_CONFIGS")])
        secured.issuer.clients[SHOWN] = SECRETS["sasl_oauth_client_secret"]
        self.working: dict[str, dict[str, Any]] = {
            "scram": _sasl(secured, SASL_SSL, "SCRAM-SHA-512", SHOWN),
            "oauth": _sasl(secured, SASL_SSL, "OAUTHBEARER", SHOWN),
            "mutual-tls": _mutual_tls(secured, SECRETS["ssl_key_password"]),
        }
        self.refused: dict[str, dict[str, Any]] = {
            "refused-plain": _sasl(secured, SASL_PLAINTEXT, "PLAIN", ADMIN),
            "refused-scram": _sasl(secured, SASL_SSL, "SCRAM-SHA-256", ADMIN),
            "refused-oauth": _sasl(secured, SASL_SSL, "OAUTHBEARER", ADMIN),
            "refused-key": _mutual_tls(secured, "another password"),
        }
        place = {"bucket": bucket, "endpoint": minio.endpoint, "region": minio.region}
        how = {"path_style": True, "allow_http": True}
        own = {"access_key": ROOT_CREDENTIALS.access_key, "secret_key": ROOT_CREDENTIALS.secret_key}
        self.repositories: dict[str, dict[str, Any]] = {
            "own-keys": {**place, **how, **own},
            "wrong-keys": {**place, **how, "access_key": own["access_key"], **_of("secret_key")},
            "temporary-keys": {**place, **how, **own, **_of("session_token")},
        }

    @property
    def clusters(self) -> dict[str, dict[str, Any]]:
        """All of them."""
        return {**self.working, **self.refused}


def _sasl(secured: SecuredKafka, listener: str, mechanism: str, user: str) -> dict[str, Any]:
    """As that user, with the marker for a secret."""
    secret = SECRETS["sasl_oauth_client_secret" if mechanism == "OAUTHBEARER" else "sasl_password"]
    security = secured.security(listener, mechanism, user, secret)
    return {"bootstrap_servers": [secured.address(listener)], **security_keys(security)}


def _mutual_tls(secured: SecuredKafka, password: str) -> dict[str, Any]:
    """A key that this password opens, and the marker to open it with."""
    leaf = secured.authority.issue(f"client-{uuid4().hex}", common_name="client", password=password)
    files = {"ssl_certificate_location": str(leaf.certificate), "ssl_key_location": str(leaf.key)}
    keys = {**security_keys(secured.security(MTLS)), **files, **_of("ssl_key_password")}
    return {"bootstrap_servers": [secured.address(MTLS)], **keys}


def _of(name: str) -> dict[str, str]:
    return {name: SECRETS[name]}


@pytest.fixture
def planted(secured: SecuredKafka, minio: MinIO, topic_name: str) -> Planted:
    """Everything planted, and a topic to back up."""
    create_topic(secured.cluster.bootstrap, topic_name)
    produce(secured.cluster.bootstrap, topic_name, [OutRecord(b"key", b"value")] * 100)
    return Planted(secured, minio, minio.new_bucket(), topic_name)


def _search(where: Mapping[str, str | bytes]) -> None:
    """Every spelling of every secret, in every text."""
    for place, content in where.items():
        data = content if isinstance(content, bytes) else content.encode()
        for name, secret in (*SECRETS.items(), ("the store's own", ROOT_CREDENTIALS.secret_key)):
            for spelling in _spellings(secret):
                assert spelling not in data, f"{name} is in {place}"


def _spellings(secret: str) -> Iterator[bytes]:
    yield from (secret.encode(), quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode())
    for shift in range(3):  # base64 looks different at each place of a group of three
        encoded = base64.b64encode(b"x" * shift + secret.encode())
        yield encoded[-(-shift * 4 // 3) : len(encoded) - 4]


def test_flows_leave_no_secret_of_their_blocks_anywhere(
    installation: Installation,
    minio: MinIO,
    planted: Planted,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    printed, topic = _make_blocks(installation, planted, tmp_path / "blocks.yaml"), planted.topic
    taken = {"source": "scram", "backup_id": topic, "topics": {"include": [topic]}}
    done = installation.run("snapshot-backup/nightly", **taken, repository="s3-repository/own-keys")
    runs = [
        installation.start("validate/daily", backup_id=topic, repository=f"s3-repository/{name}")
        for name in ("wrong-keys", "temporary-keys")
    ]
    topics = TopicSelection(include=[topic])
    with installation.as_client():
        working = [
            snapshot_backup(f"{topic}-{name}", name, "production", topics=topics, return_state=True)
            for name in planted.working
        ]
        refused: list[State[Any]] = []
        for name in planted.refused:
            refused += (
                snapshot_backup(f"{topic}-{name}", name, "production", topics=topics, return_state=True),
                validate_restore(topic, name, "s3-repository/own-keys", return_state=True),
            )
    ended = [installation.ended(run) for run in runs]

    assert StateType.COMPLETED == done.state_type, done.state
    assert [StateType.COMPLETED] * len(working) == [state.type for state in working], working
    assert {StateType.FAILED} == {run.state_type for run in ended}
    assert {StateType.FAILED} == {state.type for state in refused}, refused
    messages = "".join(str(state) for state in (done.state, *ended, *working, *refused))
    database = _dump(installation.server.database)
    assert topic in database
    assert SHOWN in messages + database
    _search(
        {
            "the output of blocks.py": printed,
            "the output of flows": "".join(capfd.readouterr()) + caplog.text,
            "the talk of the server": installation.server.log.read_bytes(),
            "the talk of the worker": installation.worker.log.read_bytes(),
            "the database": database,
            "the messages of states": messages,
            "the repository": b"".join(path.read_bytes() for path in _files(minio.folder / "data")),
            "the folder": b"".join(path.read_bytes() for path in _files(installation.repository)),
        }
    )


def _make_blocks(installation: Installation, planted: Planted, file: Path) -> str:
    """As an installation does: the secrets in the environment."""
    document = {"kafka-cluster": planted.clusters, "s3-repository": planted.repositories}
    text, variables = json.dumps(document), {}
    for number, secret in enumerate((*SECRETS.values(), ROOT_CREDENTIALS.secret_key)):
        text = text.replace(json.dumps(secret), json.dumps(f"${{SECRET_{number}}}"))
        variables[f"SECRET_{number}"] = secret
    file.write_text(text)
    return installation.server.run("python", "-m", "deployments.blocks", str(file), **variables)


def _dump(database: Path) -> str:
    """Everything in it: logs, artifacts, parameters, states, events, blocks."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return "\n".join(connection.iterdump())


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_the_command_shows_no_secret_of_its_file_however_loud(planted: Planted, tmp_path: Path) -> None:
    local = {"backend": "filesystem", "path": str(tmp_path / "repository")}
    plain = {"bootstrap_servers": [planted.bootstrap]}
    pairs = [(_section(one), local, 0) for one in planted.working.values()]
    pairs += [(_section(one), local, code) for one, code in zip(planted.refused.values(), (12, 12, 12, 2), strict=True)]
    stores = zip(planted.repositories.values(), (0, 12, 12), strict=True)
    pairs += [(plain, {"backend": "s3", **one}, code) for one, code in stores]

    said = ""
    for number, (cluster, storage, code) in enumerate(pairs):
        source = {**cluster, "topics": {"include": [planted.topic]}}
        document = {"mode": "backup", "backup_id": f"set-{number}", "source": source, "storage": storage}
        (tmp_path / "file.yaml").write_text(json.dumps(document))
        done = subprocess.run(
            [COMMAND, "backup", "-v", "--config", "file.yaml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert code == done.returncode, (cluster, done.stderr)
        said += done.stdout + done.stderr

    assert re.search("Traceback", said), "-v tells more"
    _search(
        {
            "what the command said": said,
            "the repository": b"".join(p.read_bytes() for p in _files(tmp_path / "repository")),
        }
    )


def _section(block: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a cluster's block as a file says them."""
    security = {key: value for key, value in block.items() if key != "bootstrap_servers"}
    return {"bootstrap_servers": block["bootstrap_servers"], "security": security}


def test_blocks_show_no_secret_of_theirs(planted: Planted) -> None:
    blocks = [KafkaCluster(**one) for one in planted.clusters.values()]
    stores = [S3Repository(**one) for one in planted.repositories.values()]
    _search(
        {"a block": "".join(f"{one!r}{one}{one.model_dump()}{one.model_dump_json()}" for one in (*blocks, *stores))}
    )
