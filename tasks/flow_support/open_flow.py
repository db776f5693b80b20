"""Opens the blocks, the cluster and the repository of a flow run in the flow's process, before its tasks run. Excludes
the objects that exist then from garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

from prefect.runtime import flow_run

from tasks.flow_support.block_loading import blocks_loaded_once
from tasks.flow_support.flow_run_cache import FlowRunCache, flow_process
from tasks.flow_support.task_log import without_successful_tasks
from tasks.flow_support.wiring import cluster_access, places, repository, repository_reference
from tasks.repository.repository import Repository


class OpenFlow(NamedTuple):
    """The flow run's id, the `type/name` of the repository's block, the repository, and the cache of the flow run."""

    flow_run: str
    repository_name: str
    repository: Repository
    cache: FlowRunCache


@contextmanager
def open_flow(repository_name: str, cluster: str | None = None, *, create: bool = False) -> Iterator[OpenFlow]:
    """Load the blocks and open the repository, before the flow submits tasks, so that a task of this process never
    waits for the Prefect server. With `create` a missing repository is created.

    A missing repository is made after the cluster has answered. Raises `ConfigError` for a block that does not exist or
    is not valid, what opening the repository raises, and what `KafkaAccess.check_reachable` raises.
    """
    _freeze_loaded_objects()
    flow = str(flow_run.id)
    with flow_process(flow) as cache, without_successful_tasks(flow):
        with blocks_loaded_once():
            name, access = repository_reference(repository_name), None
            if cluster is not None:
                places(flow, cluster, name)
                access = cluster_access(flow, cluster)
                if not create:
                    access.check_reachable(cache.stop, is_writing=True)
            opened = repository(flow, name, create_for=access if create else None)
        yield OpenFlow(flow, name, opened, cache)


@cache
def _freeze_loaded_objects() -> None:
    """Exclude all objects that exist now from garbage collection, once per process.

    Prefect's modules are hundreds of thousands of objects that live as long as the process. Without this, the collector
    visits them again and again: a fifth of the CPU time of a run with many small tasks.
    """
    gc.freeze()
