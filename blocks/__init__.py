"""The Prefect blocks of this program: a Kafka cluster, and a type of repository for each kind of storage.

`prefect block register -m blocks` makes the block types known to a Prefect server. The fields of a block are the keys
of its section in the YAML files; a test compares them. Nothing here imports another package of this program, so that
Prefect can load the blocks alone. Fields are added with a default and never removed, so that saved blocks still load.
"""

from __future__ import annotations

from prefect.blocks.core import Block

from blocks.kafka_cluster import KafkaCluster
from blocks.repositories import AzureRepository, GcsRepository, LocalRepository, S3Repository

__all__ = ["AzureRepository", "GcsRepository", "KafkaCluster", "LocalRepository", "S3Repository", "block_types"]


def block_types() -> dict[str, type[Block]]:
    """The block types of this package by their slugs, such as `s3-repository`."""
    exported = (globals()[name] for name in __all__)
    return {one.get_block_type_slug(): one for one in exported if isinstance(one, type) and issubclass(one, Block)}
