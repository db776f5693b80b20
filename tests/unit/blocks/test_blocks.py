"""The blocks: what Prefect requires of every block, and that their fields are the keys of the YAML files."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import get_args

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from pydantic import BaseModel, SecretStr

import blocks
from blocks import KafkaCluster, block_types
from tasks.broker.auth.security import Mechanism, Protocol, Security
from tasks.config.models import ConnectionSection
from tasks.flow_support.credential_blocks import FIELD
from tasks.store.registry import BLOCK_TYPES

BLOCKS = tuple(block_types().values())


@pytest.mark.parametrize("block", BLOCKS)
class TestStandard(BlockStandardTestSuite):
    """Prefect's own suite."""

    @pytest.fixture
    def block(self, request: pytest.FixtureRequest) -> type[Block]:
        found: type[Block] = request.param
        return found

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """No block has an image, because the UI would load it from the internet."""
        assert block._logo_url is None


def test_the_fields_of_a_clusters_block_are_the_keys_of_the_files() -> None:
    assert {"bootstrap_servers", "rack", *Security.model_fields, *ConnectionSection.model_fields} == set(
        KafkaCluster.model_fields
    )
    assert _secrets(Security) == _secrets(KafkaCluster)


def test_a_cluster_offers_every_protocol_and_mechanism() -> None:
    fields = KafkaCluster.model_fields
    assert get_args(Protocol) == get_args(fields["security_protocol"].annotation)
    offered, _ = get_args(fields["sasl_mechanism"].annotation)
    assert get_args(Mechanism) == get_args(offered)


def test_there_is_a_block_for_each_backend_that_has_a_block_type() -> None:
    assert set(BLOCK_TYPES) == set(block_types()) - {"kafka-cluster"}


@pytest.mark.parametrize("slug", BLOCK_TYPES)
def test_the_fields_of_a_repositorys_block_are_the_keys_of_its_backend(slug: str) -> None:
    block, settings = block_types()[slug], BLOCK_TYPES[slug]

    assert set(settings.model_fields) - {"backend"} == set(block.model_fields) - {FIELD}
    assert _secrets(settings) == _secrets(block)
    assert _types(settings) == _types(block)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_that_was_saved_before_a_field_existed_can_be_loaded(block: type[Block]) -> None:
    """Every field has a default."""
    assert [] == [name for name, field in block.model_fields.items() if field.is_required()]


def test_prefect_finds_the_blocks_by_the_entry_point() -> None:
    [point] = entry_points(group="prefect.collections", name="kafka-backup")
    assert blocks is point.load()


def test_no_secret_is_in_a_blocks_repr() -> None:
    cluster = KafkaCluster(sasl_password=SecretStr("hush-1"), ssl_key_password=SecretStr("hush-2"))
    assert "hush" not in f"{cluster!r} {cluster} {cluster.model_dump_json()}"


def _types(model: type[BaseModel]) -> dict[str, set[object]]:
    """The types of each field that both have, without None, which only marks the field as optional."""
    fields = {name: field.annotation for name, field in model.model_fields.items() if name not in ("backend", FIELD)}
    return {name: set(get_args(kind) or [kind]) - {type(None)} for name, kind in fields.items()}


def _secrets(model: type[object]) -> set[str]:
    fields = getattr(model, "model_fields", {})
    return {name for name, field in fields.items() if SecretStr in (field.annotation, *get_args(field.annotation))}
