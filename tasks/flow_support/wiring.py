"""Turns the names of blocks into connections and repositories, with the models and adapters of the YAML files. Makes
the errors for blocks that are missing, ambiguous or not valid, and the values that recipes show, without secrets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from pydantic import BaseModel, SecretStr, ValidationError

from blocks import KafkaCluster, block_types
from tasks.broker.kafka_access import KafkaAccess
from tasks.config import adapters
from tasks.config.adapters import store_of
from tasks.config.models import ClusterSection, ConnectionSection
from tasks.config.new_repository import opened_or_created
from tasks.engine.evidence.signing_keys import SigningKey
from tasks.flow_support.block_loading import find_block
from tasks.flow_support.credential_blocks import with_credentials
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.task_log import note_logger, wait_logger
from tasks.model.control_characters import control_character_problems
from tasks.model.errors import ConfigError
from tasks.model.setting_fields import validation_problems
from tasks.reports.recipe import Places
from tasks.repository.repository import Repository
from tasks.store.archive import ObjectArchive
from tasks.store.bucket import open_archive
from tasks.store.registry import BLOCK_TYPES, StorageSettings

BlockT = TypeVar("BlockT", bound=Block)
SectionT = TypeVar("SectionT", bound=BaseModel)

REPOSITORY_BLOCKS: Mapping[str, type[Block]] = {slug: block_types()[slug] for slug in BLOCK_TYPES}
"""The blocks of repositories by their slugs. `BLOCK_TYPES` has the class of the settings for each slug."""

_UNPROTECTED = {"security_protocol": "PLAINTEXT"}


def now_ms() -> int:
    """The time in Unix milliseconds. Everything that a flow writes is stamped with it."""
    return time.time_ns() // 1_000_000


def cluster_access(flow_run: str, cluster: str) -> KafkaAccess:
    """The cluster of a KafkaCluster block. It is loaded once per process and flow run. Raises what `cluster_section`
    raises."""
    cache = flow_run_cache(flow_run)

    def opened() -> KafkaAccess:
        return adapters.cluster_access(cluster_section(cluster), wait_logger())

    return cache.cached(("cluster", cluster), opened)


def repository(flow_run: str, reference: str, *, before_creation: Callable[[], None] | None = None) -> Repository:
    """The repository of a block. It is opened once per process and flow run. With `before_creation` a missing one is
    created after this was called. Raises what `storage_section`, opening and creating the repository raise."""
    cache = flow_run_cache(flow_run)

    def opened() -> Repository:
        section, on_waiting, on_note = storage_section(reference), wait_logger(), note_logger()
        if before_creation is None:
            store = store_of(section, stop=cache.stop, on_waiting=on_waiting, on_note=on_note)
            return Repository.open(store, now_ms).noted(on_note)
        found, _ = opened_or_created(
            section,
            now_ms,
            before_creation=before_creation,
            stop=cache.stop,
            on_waiting=on_waiting,
            on_note=on_note,
        )
        return found

    return cache.cached(("repository", reference), opened)


def archive(flow_run: str, reference: str) -> ObjectArchive:
    """The archived objects of a repository's block. They are opened once per process and flow run. Raises what
    `storage_section` and `open_archive` raise."""
    cache = flow_run_cache(flow_run)

    def opened() -> ObjectArchive:
        return open_archive(storage_section(reference), stop=cache.stop, on_waiting=wait_logger())

    return cache.cached(("archive", reference), opened)


def load_signing_key(name: str) -> SigningKey:
    """The private key in a Secret block. Raises `ConfigError` if there is no such block, or if it contains no key."""
    secret = _load(Secret, name.removeprefix("secret/")).get()
    return SigningKey.from_pem(str(secret).encode(), name=f"The block secret/{name}")


def repository_reference(name: str) -> str:
    """The `type/name` of a repository's block. `name` is already in this form, or is the name alone. Raises
    `ConfigError` if no block has this name alone, or if blocks of several types have it."""
    if "/" in name:
        return name
    found = [f"{slug}/{name}" for slug, kind in REPOSITORY_BLOCKS.items() if find_block(kind, name) is not None]
    if not found:
        types = " or ".join(REPOSITORY_BLOCKS)
        raise ConfigError(f"There is no repository block named {name!r}: create a {types} with this name.")
    if len(found) > 1:
        raise ConfigError(f"There are several repository blocks named {name!r}: write {' or '.join(found)}.")
    return found[0]


def cluster_section(cluster: str) -> ClusterSection:
    """The cluster section with the values of a KafkaCluster block.

    Raises `ConfigError` if there is no such block, or its fields are not a valid section.
    """
    name = cluster.removeprefix("kafka-cluster/")
    values = field_values(_load(KafkaCluster, name))
    section = {"bootstrap_servers": [], **_cluster_members(values)}
    return _section(ClusterSection, section, f"kafka-cluster/{name}")


def storage_section(reference: str) -> StorageSettings:
    """The storage section with the values of a repository's block, and of the block with credentials that it names. The
    reference is `type/name`.

    Raises `ConfigError` if there is no such block, or its fields are not a valid section.
    """
    slug, _, name = reference.partition("/")
    if slug not in REPOSITORY_BLOCKS:
        types = ", ".join(REPOSITORY_BLOCKS)
        raise ConfigError(
            f"{reference!r} names no repository: write the name of a block, or TYPE/NAME with one of the types {types}."
        )
    values = with_credentials(field_values(_load(REPOSITORY_BLOCKS[slug], name)), slug)
    return _section(BLOCK_TYPES[slug], values, reference)


def places(flow_run: str, cluster: str, reference: str) -> Places:
    """The cluster and the repository of a flow run as they are shown to people, without secrets. They are loaded once
    per process and flow run."""
    return flow_run_cache(flow_run).cached(("places", cluster, reference), lambda: _places(cluster, reference))


def field_values(block: Block) -> dict[str, object]:
    """The fields of a block that are set, the secret ones with their values."""
    fields = {name: getattr(block, name) for name in type(block).model_fields}
    plain = {name: one.get_secret_value() if isinstance(one, SecretStr) else one for name, one in fields.items()}
    return {name: value for name, value in plain.items() if value not in (None, "")}


def _places(cluster: str, reference: str) -> Places:
    shown = _cluster_members(_shown_values(_load(KafkaCluster, cluster.removeprefix("kafka-cluster/"))))
    return Places(
        cluster=cluster,
        repository=reference,
        cluster_section={
            "bootstrap_servers": [],
            **{key: member for key, member in shown.items() if member and member != _UNPROTECTED},
        },
        storage_section=storage_section(reference).shown_section(),
    )


def _cluster_members(values: Mapping[str, object]) -> dict[str, object]:
    """The members of a cluster section, from the values of a block."""
    own = {key: values[key] for key in ("bootstrap_servers", "rack") if key in values}
    connection = {key: values[key] for key in ConnectionSection.model_fields if key in values}
    security = {key: member for key, member in values.items() if key not in own and key not in connection}
    return {**own, "security": security, "connection": connection}


def _shown_values(block: Block) -> dict[str, object]:
    secret = {name for name in type(block).model_fields if isinstance(getattr(block, name), SecretStr)}
    values = field_values(block)
    return {name: f"${{{name.upper()}}}" if name in secret else value for name, value in values.items()}


def _load(kind: type[BlockT], name: str) -> BlockT:
    found = find_block(kind, name)
    if found is None:
        raise ConfigError(
            f"There is no block {kind._block_type_slug}/{name}: create it in the UI, or use another name."
        )
    return found


def _section(model: type[SectionT], values: Mapping[str, object], block: str) -> SectionT:
    """The section with these values. Raises `ConfigError`, whose message shows no secret (see
    `validation_problems`)."""
    problems = list(control_character_problems(values))
    if problems:
        raise ConfigError(f"The block {block} cannot be used: {'; '.join(problems)}: remove it.")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"The block {block} cannot be used: {validation_problems(error)}.") from None
