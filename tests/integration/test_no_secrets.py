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

import pytest
from prefect.client.schemas.objects import StateType

from blocks import KafkaCluster, S3Repository
from deployments.block_file import block_types
from flows.backup import snapshot_backup
from flows.restore import validate_restore
from tests.support.certificates import Authority
from tests.support.command import COMMAND
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster as Cluster
from tests.support.kafka import free_ports
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO
from tests.support.producing import OutRecord, create_topic, produce

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


def test_there_is_a_marker_for_every_secret_field() -> None:
    fields = {
        name for kind in block_types().values() for name, field in kind.model_fields.items() if "Secret" in repr(field)
    }
    assert SECRETS.keys() == fields


@pytest.mark.parametrize("prefix", ["", "a", "ab"])
def test_the_search_finds_every_spelling(prefix: str) -> None:
    for secret in SECRETS.values():
        written = (prefix + secret + "!").encode()
        for spelling in (written, quote(written, safe="").encode(), base64.b64encode(written)):
            with pytest.raises(AssertionError, match="is in the text"):
                _search({"the text": b"{" + spelling + b"}"})


class Planted:
    """Sections with markers in them: every one is refused by somebody, and errors are where secrets come out."""

    def __init__(self, kafka: Cluster, minio: MinIO, bucket: str, authority: Authority) -> None:
        servers, [closed] = {"bootstrap_servers": [kafka.bootstrap]}, free_ports(1)
        leaf = authority.issue("client", password=SECRETS["ssl_key_password"])
        sasl = {"security_protocol": "SASL_PLAINTEXT", **servers}
        self.clusters: dict[str, dict[str, Any]] = {
            "scram": {**sasl, "sasl_mechanism": "SCRAM-SHA-512", "sasl_username": SHOWN, **_of("sasl_password")},
            "mutual-tls": {
                **servers,
                "security_protocol": "SSL",
                "ssl_ca_location": str(authority.ca),
                "ssl_certificate_location": str(leaf.certificate),
                "ssl_key_location": str(leaf.key),
                **_of("ssl_key_password"),
            },
            "oauth": {
                **sasl,
                "sasl_mechanism": "OAUTHBEARER",
                "sasl_oauth_token_endpoint_url": f"http://127.0.0.1:{closed}/token",
                "sasl_oauth_client_id": SHOWN,
                **_of("sasl_oauth_client_secret"),
            },
        }
        place = {"bucket": bucket, "endpoint": minio.endpoint, "region": minio.region}
        how = {"path_style": True, "allow_http": True}
        own = {"access_key": ROOT_CREDENTIALS.access_key, "secret_key": ROOT_CREDENTIALS.secret_key}
        self.repositories: dict[str, dict[str, Any]] = {
            "own-keys": {**place, **how, **own},
            "wrong-keys": {**place, **how, "access_key": own["access_key"], **_of("secret_key")},
            "temporary-keys": {**place, **how, **own, **_of("session_token")},
        }


def _of(name: str) -> dict[str, str]:
    return {name: SECRETS[name]}


@pytest.fixture
def planted(kafka: Cluster, minio: MinIO, tmp_path: Path) -> Planted:
    return Planted(kafka, minio, minio.new_bucket(), Authority(tmp_path / "authority"))


@pytest.fixture
def topic(kafka: Cluster, topic_name: str) -> str:
    create_topic(kafka.bootstrap, topic_name)
    produce(kafka.bootstrap, topic_name, [OutRecord(b"key", b"value")] * 100)
    return topic_name


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
    topic: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    printed = _make_blocks(installation, planted, tmp_path / "blocks.yaml")
    taken = {"source": "production", "backup_id": topic, "topics": {"include": [topic]}}
    done = installation.run("snapshot-backup/nightly", **taken, repository="s3-repository/own-keys")
    runs = [
        installation.start("validate/daily", backup_id=topic, repository=f"s3-repository/{name}")
        for name in ("wrong-keys", "temporary-keys")
    ]
    states = []
    with installation.as_client():
        for name in planted.clusters:
            states += [
                snapshot_backup(f"{topic}-{name}", name, "production", return_state=True),
                validate_restore(topic, name, "s3-repository/own-keys", return_state=True),
            ]
    ended = [installation.ended(run) for run in runs]

    assert StateType.COMPLETED == done.state_type, done.state
    assert [StateType.FAILED] * 2 == [run.state_type for run in ended]
    assert [StateType.FAILED] * 6 == [state.type for state in states], states
    database = _dump(installation.server.database)
    assert topic in database
    assert SHOWN in printed + "".join(str(state.message) for state in states) + database
    _search(
        {
            "the output of blocks.py": printed,
            "the output of flows": "".join(capfd.readouterr()) + caplog.text,
            "the talk of the server": (installation.server.folder / "server.log").read_bytes(),
            "the talk of the worker": installation.worker.talk.read_bytes(),
            "the database": database,
            "the messages of states": "".join(str(state) for state in (done.state, *ended, *states)),
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
    return installation.server.run("python", "deployments/blocks.py", str(file), **variables)


def _dump(database: Path) -> str:
    """Everything in it: logs, artifacts, parameters, states, events, blocks."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return "\n".join(connection.iterdump())


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_the_command_shows_no_secret_of_its_file_however_loud(planted: Planted, topic: str, tmp_path: Path) -> None:
    local = {"backend": "filesystem", "path": str(tmp_path / "repository")}
    plain = {"bootstrap_servers": planted.clusters["scram"]["bootstrap_servers"]}
    clusters = [
        {"bootstrap_servers": one["bootstrap_servers"], "security": _without(one, "bootstrap_servers")}
        for one in planted.clusters.values()
    ]
    pairs = [(cluster, local) for cluster in clusters]
    pairs += [(plain, {"backend": "s3", **one}) for one in planted.repositories.values()]

    codes, said = [], ""
    for cluster, storage in pairs:
        source = {**cluster, "topics": {"include": [topic]}}
        document = {"mode": "backup", "backup_id": "set", "source": source, "storage": storage}
        (tmp_path / "file.yaml").write_text(json.dumps(document))
        done = subprocess.run(
            [COMMAND, "backup", "-v", "--config", "file.yaml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        codes.append(done.returncode)
        said += done.stdout + done.stderr

    assert [2, 2] == codes[:2]
    assert 0 not in codes[:3]
    assert [0, 12, 12] == codes[3:]
    assert re.search("Traceback", said), "-v tells more"
    _search(
        {
            "what the command said": said,
            "the repository": b"".join(p.read_bytes() for p in _files(tmp_path / "repository")),
        }
    )


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def test_blocks_show_no_secret_of_theirs(planted: Planted) -> None:
    blocks = [KafkaCluster(**one) for one in planted.clusters.values()]
    stores = [S3Repository(**one) for one in planted.repositories.values()]
    _search(
        {"a block": "".join(f"{one!r}{one}{one.model_dump()}{one.model_dump_json()}" for one in (*blocks, *stores))}
    )
