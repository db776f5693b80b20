"""The blocks: what Prefect asks of every block, and that they speak the language of the YAML files."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import get_args

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from pydantic import SecretStr

import blocks
from blocks import KafkaCluster, LocalRepository, S3Repository
from tasks.broker.auth.security import Mechanism, Protocol, Security
from tasks.config.models import StorageSection

BLOCKS: tuple[type[Block], ...] = (KafkaCluster, LocalRepository, S3Repository)


@pytest.mark.parametrize("block", BLOCKS)
class TestStandard(BlockStandardTestSuite):
    """Prefect's own suite."""

    @pytest.fixture
    def block(self, request: pytest.FixtureRequest) -> type[Block]:
        found: type[Block] = request.param
        return found

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """There is none: the UI would ask the internet for it."""
        assert block._logo_url is None


def test_a_clusters_fields_are_the_keys_of_the_files() -> None:
    assert {"bootstrap_servers", *Security.model_fields} == set(KafkaCluster.model_fields)
    assert _secrets(Security) == _secrets(KafkaCluster)


def test_a_cluster_offers_every_protocol_and_mechanism() -> None:
    fields = KafkaCluster.model_fields
    assert get_args(Protocol) == get_args(fields["security_protocol"].annotation)
    offered, _ = get_args(fields["sasl_mechanism"].annotation)
    assert get_args(Mechanism) == get_args(offered)


@pytest.mark.parametrize("block", [LocalRepository, S3Repository])
def test_a_repositorys_fields_are_keys_of_the_files(block: type[Block]) -> None:
    assert set(block.model_fields) <= set(StorageSection.model_fields)
    assert _secrets(block) <= _secrets(StorageSection)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_that_is_saved_without_a_new_field_can_still_be_loaded(block: type[Block]) -> None:
    """Fields come and never go, each with a default."""
    assert [] == [name for name, field in block.model_fields.items() if field.is_required()]


def test_prefect_finds_the_blocks_by_the_entry_point() -> None:
    [point] = entry_points(group="prefect.collections", name="kafka-backup")
    assert blocks is point.load()


def test_no_secret_is_in_a_blocks_repr() -> None:
    cluster = KafkaCluster(sasl_password=SecretStr("hush-1"), ssl_key_password=SecretStr("hush-2"))
    assert "hush" not in f"{cluster!r} {cluster} {cluster.model_dump_json()}"


def _secrets(model: type[object]) -> set[str]:
    fields = getattr(model, "model_fields", {})
    return {name for name, field in fields.items() if SecretStr in (field.annotation, *get_args(field.annotation))}
