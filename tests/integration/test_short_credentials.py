"""A continuous backup over several lifetimes of its credentials: tokens for Kafka, and a role's keys for the store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.command import COMMAND, security_keys
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.round_trip import Content, contents
from tests.support.running_backup import running_backup
from tests.support.s3_credentials import S3Credentials
from tests.support.secured_kafka import SASL_SSL, SecuredKafka

pytestmark = [pytest.mark.kafka, pytest.mark.minio]

LIFETIME_S = 3
LIFETIMES = 5


@pytest.fixture
def store(secured: SecuredKafka) -> Iterator[MinIO]:
    """A MinIO that knows the issuer of the tokens."""
    with MinIO(issuer=secured.issuer) as server:
        yield server


@contextmanager
def _renewed_token(secured: SecuredKafka, path: Path) -> Iterator[None]:
    """A file with a token for the store, which is replaced before the token ends, as Kubernetes does."""
    done = threading.Event()

    def write() -> None:
        new = path.with_suffix(".new")
        new.write_text(secured.issuer.token("backup", lifetime_s=LIFETIME_S))
        new.replace(path)

    def renew() -> None:
        while not done.wait(LIFETIME_S / 2):
            write()

    write()
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def _short_tokens(secured: SecuredKafka) -> Iterator[None]:
    """Every token for Kafka ends soon, and with it the session on each connection."""
    before, secured.issuer.lifetime_s = secured.issuer.lifetime_s, LIFETIME_S
    try:
        yield
    finally:
        secured.issuer.lifetime_s = before


@contextmanager
def _load(secured: SecuredKafka, topic: str) -> Iterator[None]:
    done, number = threading.Event(), 0

    def send() -> None:
        nonlocal number
        while not done.wait(0.05):
            records = [OutRecord(b"%d" % (number + one), os.urandom(200)) for one in range(10)]
            produce(secured.cluster.bootstrap, topic, records)
            number += 10

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _role_keys(store: MinIO, token: str) -> S3Credentials:
    """The keys for one token. They end with it."""
    sts = boto3.client(
        "sts", endpoint_url=store.endpoint, region_name=store.region, config=Config(signature_version=UNSIGNED)
    )
    answer = sts.assume_role_with_web_identity(RoleArn=store.role_arn, RoleSessionName="test", WebIdentityToken=token)[
        "Credentials"
    ]
    return S3Credentials(
        access_key=answer["AccessKeyId"], secret_key=answer["SecretAccessKey"], session_token=answer["SessionToken"]
    )


def _can_list(store: MinIO, bucket: str, keys: S3Credentials) -> bool:
    session = boto3.session.Session(keys.access_key, keys.secret_key, keys.session_token, region_name=store.region)
    client = session.client("s3", endpoint_url=store.endpoint, config=Config(s3={"addressing_style": "path"}))
    try:
        client.list_objects_v2(Bucket=bucket)
    except ClientError:
        return False
    return True


def _storage(store: MinIO, bucket: str, **more: str) -> dict[str, object]:
    section = {"backend": "s3", "bucket": bucket, "region": store.region, "endpoint": store.endpoint}
    return {**section, "path_style": True, "allow_http": True, **more}


def _backup_file(secured: SecuredKafka, topic: str, storage: Mapping[str, object], folder: Path) -> Path:
    source = {
        "bootstrap_servers": [secured.address(SASL_SSL)],
        "security": security_keys(secured.security(SASL_SSL, "OAUTHBEARER")),
        "topics": {"include": [topic]},
    }
    backup = {"continuous": True, "checkpoint_interval_secs": 1}
    document = {"mode": "backup", "backup_id": "set", "source": source, "storage": storage, "backup": backup}
    file = folder / "backup.yaml"
    file.write_text(json.dumps(document))
    return file


def _restore(secured: SecuredKafka, topic: str, storage: Mapping[str, object], folder: Path) -> list[Content]:
    """The records of the newest point."""
    target = f"{topic}-restored"
    document = {
        "mode": "restore",
        "backup_id": "set",
        "target": {"bootstrap_servers": [secured.cluster.bootstrap]},
        "storage": storage,
        "restore": {"topic_mapping": {topic: target}},
    }
    file = folder / "restore.yaml"
    file.write_text(json.dumps(document))
    done = subprocess.run(
        [COMMAND, "restore", "--config", str(file)], capture_output=True, text=True, timeout=120, check=False
    )
    assert 0 == done.returncode, done.stderr
    return contents(secured.cluster.bootstrap, target)


def _role(store: MinIO, token_file: Path) -> dict[str, str]:
    """The variables that make the AWS SDK take the role's keys for the token in the file."""
    return {
        **os.environ,
        "AWS_ROLE_ARN": store.role_arn,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file),
        "AWS_ENDPOINT_URL_STS": store.endpoint,
        "AWS_DEFAULT_REGION": store.region,
    }


def test_continuous_capture_goes_on_over_several_lifetimes_of_its_credentials(
    secured: SecuredKafka, store: MinIO, topic_name: str, tmp_path: Path
) -> None:
    """One process, without a gap, a failed cycle, or a session that the broker had to end."""
    create_topic(secured.cluster.bootstrap, topic_name)
    bucket, token_file = store.new_bucket(), tmp_path / "token"
    file = _backup_file(secured, topic_name, _storage(store, bucket), tmp_path)
    with _short_tokens(secured), _renewed_token(secured, token_file), _load(secured, topic_name):
        first_keys = _role_keys(store, token_file.read_text())
        assert _can_list(store, bucket, first_keys)
        issued, sessions, began = len(secured.issuer.issued), secured.sessions(SASL_SSL), time.monotonic()
        with running_backup(file, _role(store, token_file)) as running:
            running.wait_until(lambda: time.monotonic() - began > LIFETIMES * (LIFETIME_S + 1))
            points = len(running.points)
            running.wait_until(lambda: len(running.points) > points)
            assert 0 == running.end(signal.SIGTERM), running.log
        killed = secured.sessions(SASL_SSL).since(sessions).killed
        tokens = len(secured.issuer.issued) - issued
        assert not _can_list(store, bucket, first_keys), "the first keys have ended"

    assert {("complete", False)} == {(point["status"], bool(point["gaps"])) for point in running.points}
    assert not [line for line in running.log if "failed" in line or "again" in line]
    assert (True, 0) == (tokens >= LIFETIMES, killed)
    owner = {"access_key": ROOT_CREDENTIALS.access_key, "secret_key": ROOT_CREDENTIALS.secret_key}
    restored = _restore(secured, topic_name, _storage(store, bucket, **owner), tmp_path)
    assert contents(secured.cluster.bootstrap, topic_name)[: len(restored)] == restored
    assert running.points[-1]["totals"]["records"] == len(restored) > 0
