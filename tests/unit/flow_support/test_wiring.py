"""From the names of blocks to the models and adapters of the YAML files."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from blocks import KafkaCluster, LocalRepository, S3Repository
from tasks.flow_support.flow_run_cache import MAX_FOREIGN_RUNS, flow_process, flow_run_cache
from tasks.flow_support.wiring import (
    cluster_access,
    cluster_section,
    places,
    repository,
    repository_reference,
    storage_section,
)
from tasks.model.errors import BrokerUnavailableError, ConfigError, NotFoundError
from tasks.store.local.settings import LocalSettings

pytestmark = pytest.mark.usefixtures("prefect_api")

PASSWORD = "marker-6e0b"


def _name() -> str:
    return f"block-{uuid4().hex[:8]}"


def _secured() -> KafkaCluster:
    return KafkaCluster(
        bootstrap_servers=["kafka:9093"],
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="backup",
        sasl_password=SecretStr(PASSWORD),
    )


def test_a_cluster_block_becomes_the_section_of_a_file_with_its_secrets() -> None:
    name = _name()
    _secured().save(name)

    section = cluster_section(name)

    assert ("kafka:9093",) == section.bootstrap_servers
    assert section.security.sasl_password is not None
    assert PASSWORD == section.security.sasl_password.get_secret_value()
    assert section == cluster_section(f"kafka-cluster/{name}")
    assert section.security == cluster_access(str(uuid4()), name).options.security


def test_a_line_break_in_a_field_of_a_block_is_named_without_its_value() -> None:
    name = _name()
    block = _secured()
    block.sasl_password = SecretStr(f"{PASSWORD}\n")
    block.save(name)

    with pytest.raises(ConfigError, match=r"security\.sasl_password ends with a line break: remove it") as raised:
        cluster_section(name)
    assert PASSWORD not in str(raised.value)


def test_a_line_break_in_a_key_of_a_repository_block_is_named_without_its_value() -> None:
    name = _name()
    S3Repository(bucket="b", access_key="AKIA\r", secret_key=SecretStr(PASSWORD)).save(name)

    with pytest.raises(ConfigError, match=f"s3-repository/{name} cannot be used: access_key ends with a line break"):
        storage_section(f"s3-repository/{name}")


def test_a_block_that_contradicts_itself_is_named_with_its_field_and_without_its_secret() -> None:
    name = _name()
    KafkaCluster(bootstrap_servers=["kafka:9092"], sasl_password=SecretStr(PASSWORD)).save(name)

    with pytest.raises(ConfigError, match=f"kafka-cluster/{name} cannot be used: .*sasl_password") as raised:
        cluster_section(name)

    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        (
            ["::1:9092"],
            "bootstrap_servers.0 should be one host:port, with an IPv6 address in brackets, for example [2001",
        ),
        ([], "bootstrap_servers should not be empty."),
    ],
)
def test_a_wrong_address_of_a_block_is_one_problem_with_an_example(servers: list[str], expected: str) -> None:
    name = _name()
    KafkaCluster(bootstrap_servers=servers).save(name)

    with pytest.raises(ConfigError) as refused:
        cluster_section(name)

    assert f"The block kafka-cluster/{name} cannot be used: {expected}" in str(refused.value)
    assert 1 == str(refused.value).count("bootstrap_servers")


def test_what_is_shown_of_blocks_is_a_file_that_works_and_holds_no_secret() -> None:
    cluster, bucket = _name(), _name()
    _secured().save(cluster)
    S3Repository(bucket="backups", access_key="id", secret_key=SecretStr(PASSWORD)).save(bucket)

    shown = places(str(uuid4()), cluster, f"s3-repository/{bucket}")

    assert PASSWORD not in repr(shown)
    security = shown.cluster_section["security"]
    assert isinstance(security, dict)
    assert "${SASL_PASSWORD}" == security["sasl_password"]
    assert ("s3", "${SECRET_KEY}") == (
        shown.storage_section["backend"],
        shown.storage_section["secret_key"],
    )


def test_a_repository_is_found_by_its_bare_name(tmp_path: Path) -> None:
    name = _name()
    LocalRepository(path=str(tmp_path), prefix="team").save(name)

    assert f"local-repository/{name}" == repository_reference(name)
    assert f"s3-repository/{name}" == repository_reference(f"s3-repository/{name}")
    assert LocalSettings(path=str(tmp_path), prefix="team") == storage_section(f"local-repository/{name}")


def test_a_name_that_two_kinds_of_repository_have_must_say_which(tmp_path: Path) -> None:
    name = _name()
    LocalRepository(path=str(tmp_path)).save(name)
    S3Repository(bucket="backups").save(name)

    with pytest.raises(ConfigError, match=f"write local-repository/{name} or s3-repository/{name}"):
        repository_reference(name)


def test_blocks_that_do_not_exist_are_named() -> None:
    with pytest.raises(ConfigError, match="no repository block named 'none'"):
        repository_reference("none")
    with pytest.raises(ConfigError, match="no block local-repository/none"):
        storage_section("local-repository/none")
    with pytest.raises(ConfigError, match="no block kafka-cluster/none"):
        cluster_section("none")
    with pytest.raises(ConfigError, match="names no repository"):
        storage_section("kafka-cluster/none")


def _unreachable() -> None:
    raise BrokerUnavailableError("the cluster does not answer")


def test_a_flow_run_opens_its_repository_once_and_only_a_backup_makes_one(tmp_path: Path) -> None:
    name, flow_run = _name(), str(uuid4())
    LocalRepository(path=str(tmp_path / "new")).save(name)
    reference = f"local-repository/{name}"

    with pytest.raises(NotFoundError):
        repository(flow_run, reference)
    with pytest.raises(BrokerUnavailableError):
        repository(flow_run, reference, before_creation=_unreachable)
    assert not (tmp_path / "new").exists(), "nothing is made for a cluster that does not answer"
    with flow_process(flow_run):
        opened = repository(flow_run, reference, before_creation=lambda: None)
        LocalRepository(path=str(tmp_path / "other")).save(name, overwrite=True)
        assert opened is repository(flow_run, reference)


def test_a_process_forgets_the_oldest_of_many_flow_runs_that_are_not_its_own() -> None:
    runs = [str(uuid4()) for _ in range(MAX_FOREIGN_RUNS + 2)]
    with flow_process(runs[0]) as own:
        foreign = [flow_run_cache(run) for run in runs[1:]]

        assert own is flow_run_cache(runs[0])
        assert foreign[-1] is flow_run_cache(runs[-1])
        assert foreign[0] is not flow_run_cache(runs[1])
    assert not flow_run_cache(runs[0]).is_flow_process
