from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks import GcsRepository, KafkaCluster, LocalRepository, S3Repository, block_types
from deployments.block_file import BlockDocument, load
from tasks.model.errors import ConfigError

EXAMPLE = Path(__file__).parents[3] / "deployments" / "configs" / "blocks.yaml"
SECRETS = {
    "PRODUCTION_KAFKA_PASSWORD": "hunter2",
    "DR_KAFKA_PASSWORD": "0815",
    "BACKUP_ACCESS_KEY": "AKIA",
    "BACKUP_SECRET_KEY": "1e5",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "blocks.yaml"


def test_the_example_gives_a_document_for_each_name_with_secrets_as_they_were_set() -> None:
    found = {one[:2]: one.block for one in load(EXAMPLE, SECRETS)}

    cluster, bucket = found["kafka-cluster", "production"], found["s3-repository", "production"]
    assert isinstance(cluster, KafkaCluster)
    assert SecretStr("hunter2") == cluster.sasl_password
    assert isinstance(bucket, S3Repository)
    assert SecretStr("1e5") == bucket.secret_key
    assert isinstance(found["gcs-repository", "production"], GcsRepository)


def test_no_secret_is_in_the_repr_of_loaded_documents() -> None:
    text = repr(load(EXAMPLE, SECRETS))

    assert [] == [name for name in ("hunter2", "0815", "1e5") if name in text]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kafka-clusters: {}", "1: unknown block type 'kafka-clusters'; did you mean 'kafka-cluster'?"),
        ("stores: {}", f"1: unknown block type 'stores'; there are {', '.join(sorted(block_types()))}."),
        ("local-repository:\n  a: {paht: /b}", "2: unknown field 'paht' of 'local-repository'; did you mean 'path'?"),
        ("local-repository:\n  a:\n    path: 7", "3: 'local-repository.a.path': should be text, found a number"),
        ("local-repository:\n  a:", "2: 'local-repository.a': should be a mapping, found nothing."),
        ("local-repository:\n  My_Backups: {}", "2: 'My_Backups' is not a name for a block: use lower"),
        ("local-repository: {a: {path: '${HOLE}'}}", "1: 'local-repository.a.path': the environment variable HOLE is"),
        (
            "kafka-cluster: {a: {security_protocol: TLS}}",
            "should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'",
        ),
        ("- a", "a configuration is a mapping of keys to values; this file is not a mapping."),
    ],
)
def test_a_mistake_is_reported_with_file_line_and_key(file: Path, text: str, sentence: str) -> None:
    file.write_text(text)

    with pytest.raises(ConfigError) as raised:
        load(file, {})

    assert str(raised.value).startswith(f"{file}:")
    assert sentence in str(raised.value)


def test_all_mistakes_are_reported_at_once(file: Path) -> None:
    file.write_text("local-repository:\n  a: {path: '${HOLE}'}\ns3-repository:\n  b: {bukket: c}\n")

    with pytest.raises(ConfigError) as raised:
        load(file, {})

    assert 2 == len(str(raised.value).splitlines())


def test_a_missing_file_is_reported_in_one_sentence(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"blocks.yaml: No such file or directory\."):
        load(file, {})


def test_two_types_may_have_documents_of_one_name(file: Path) -> None:
    file.write_text("local-repository: {prod: {path: /a}}\ns3-repository: {prod: {bucket: b}}")

    assert [
        BlockDocument("local-repository", "prod", LocalRepository(path="/a")),
        BlockDocument("s3-repository", "prod", S3Repository(bucket="b")),
    ] == load(file, {})
