"""Where and as whom. `prefect block register -m blocks` makes these blocks known to a Prefect server."""

from __future__ import annotations

from blocks.kafka_cluster import KafkaCluster
from blocks.repositories import LocalRepository, S3Repository

__all__ = ["KafkaCluster", "LocalRepository", "S3Repository"]
