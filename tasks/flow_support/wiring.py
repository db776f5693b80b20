"""From the names of blocks to connections and repositories, with the models and adapters of the YAML files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TypeVar

from prefect.blocks.core import Block
from pydantic import BaseModel, SecretStr, ValidationError

from blocks import KafkaCluster, block_types
from tasks.broker.kafka_access import KafkaAccess
from tasks.config import adapters
from tasks.config.adapters import store_of
from tasks.config.models import ClusterSection, ConnectionSection
from tasks.config.new_repository import opened_or_created
from tasks.flow_support.block_loading import find_block
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.task_log import note_logger, wait_logger
from tasks.model.errors import ConfigError
from tasks.model.setting_fields import validation_problems
from tasks.reports.recipe import Places
from tasks.repository.repository import Repository
from tasks.store.registry import BLOCK_TYPES, StorageSettings

BlockT = TypeVar("BlockT", bound=Block)
SectionT = TypeVar("SectionT", bound=BaseModel)

REPOSITORY_BLOCKS: Mapping[str, type[Block]] = {slug: block_types()[slug] for slug in BLOCK_TYPES}
"""The blocks of repositories by their slugs. `BLOCK_TYPES` has the settings that a block's fields become."""

_UNPROTECTED = {"security_protocol": "PLAINTEXT"}


def now_ms() -> int:
    """The clock for everything that a flow writes: Unix milliseconds."""
    return time.time_ns() // 1_000_000


def cluster_access(flow_run: str, cluster: str) -> KafkaAccess:
    """The cluster of a KafkaCluster block; loaded once per process and flow run."""
    cache = flow_run_cache(flow_run)

    def opened() -> KafkaAccess:
        return adapters.cluster_access(cluster_section(cluster), wait_logger())

    return cache.cached(("cluster", cluster), opened)


def repository(flow_run: str, reference: str, *, create_for: KafkaAccess | None = None) -> Repository:
    """The repository of a block, opened once per process and flow run. A missing one is made if `create_for` is given,
    after this cluster has answered."""
    cache = flow_run_cache(flow_run)

    def opened() -> Repository:
        section, on_waiting, on_note = storage_section(reference), wait_logger(), note_logger()
        if create_for is None:
            return Repository.open(store_of(section, stop=cache.stop, on_waiting=on_waiting, on_note=on_note), now_ms)
        found, _ = opened_or_created(
            section,
            now_ms,
            before_creation=partial(create_for.check_reachable, cache.stop, is_writing=False),
            stop=cache.stop,
            on_waiting=on_waiting,
            on_note=on_note,
        )
        return found

    return cache.cached(("repository", reference), opened)


def repository_reference(name: str) -> str:
    """`type/name` of a repository's block, from that or from the bare name.

    Raises `ConfigError` for a name that no block has, and for a name that blocks of several types have.
    """
    if "/" in name:
        return name
    found = [f"{slug}/{name}" for slug, kind in REPOSITORY_BLOCKS.items() if find_block(kind, name) is not None]
    if not found:
        types = " or ".join(REPOSITORY_BLOCKS)
        raise ConfigError(f"There is no repository block named {name!r}: make a {types} of that name.")
    if len(found) > 1:
        raise ConfigError(f"There are several repository blocks named {name!r}: write {' or '.join(found)}.")
    return found[0]


def cluster_section(cluster: str) -> ClusterSection:
    """The cluster section that a KafkaCluster block means.

    Raises `ConfigError` when there is no such block, and when its fields are not a valid section.
    """
    name = cluster.removeprefix("kafka-cluster/")
    values = field_values(_load(KafkaCluster, name))
    servers = values.pop("bootstrap_servers", [])
    connection = {key: values.pop(key) for key in ConnectionSection.model_fields if key in values}
    section = {"bootstrap_servers": servers, "security": values, "connection": connection}
    return _section(ClusterSection, section, f"kafka-cluster/{name}")


def storage_section(reference: str) -> StorageSettings:
    """The storage section that a repository's block means. The reference is `type/name`.

    Raises `ConfigError` when there is no such block, and when its fields are not a valid section.
    """
    slug, _, name = reference.partition("/")
    if slug not in REPOSITORY_BLOCKS:
        types = ", ".join(REPOSITORY_BLOCKS)
        raise ConfigError(
            f"{reference!r} names no repository: write the name of a block, or TYPE/NAME with one of the types {types}."
        )
    return _section(BLOCK_TYPES[slug], field_values(_load(REPOSITORY_BLOCKS[slug], name)), reference)


def places(flow_run: str, cluster: str, reference: str) -> Places:
    """The cluster and repository of a flow run, to show to people; loaded once per process and flow run."""
    return flow_run_cache(flow_run).cached(("places", cluster, reference), lambda: _places(cluster, reference))


def field_values(block: Block) -> dict[str, object]:
    """The fields of a block that are set, with the values of secrets."""
    fields = {name: getattr(block, name) for name in type(block).model_fields}
    plain = {name: one.get_secret_value() if isinstance(one, SecretStr) else one for name, one in fields.items()}
    return {name: value for name, value in plain.items() if value not in (None, "")}


def _places(cluster: str, reference: str) -> Places:
    security = _shown_values(_load(KafkaCluster, cluster.removeprefix("kafka-cluster/")))
    servers = security.pop("bootstrap_servers", [])
    connection = {key: security.pop(key) for key in ConnectionSection.model_fields if key in security}
    return Places(
        cluster=cluster,
        repository=reference,
        cluster_section={
            "bootstrap_servers": servers,
            **({} if security == _UNPROTECTED else {"security": security}),
            **({"connection": connection} if connection else {}),
        },
        storage_section=storage_section(reference).shown_section(),
    )


def _shown_values(block: Block) -> dict[str, object]:
    secret = {name for name in type(block).model_fields if isinstance(getattr(block, name), SecretStr)}
    values = field_values(block)
    return {name: f"${{{name.upper()}}}" if name in secret else value for name, value in values.items()}


def _load(kind: type[BlockT], name: str) -> BlockT:
    found = find_block(kind, name)
    if found is None:
        raise ConfigError(f"There is no block {kind._block_type_slug}/{name}: make it in the UI, or name another.")
    return found


def _section(model: type[SectionT], values: Mapping[str, object], block: str) -> SectionT:
    """Messages show no secret: see `validation_problems`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"The block {block} cannot be used: {validation_problems(error)}.") from None
