"""Opens the blocks, the cluster and the repository of a flow run in the flow's process, before its tasks run. Excludes
the objects that exist then from garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import NamedTuple

from prefect.runtime import flow_run

from tasks.config.new_repository import require_plannable
from tasks.engine.source.snapshot_plan import SnapshotRequest
from tasks.flow_support.block_loading import blocks_loaded_once
from tasks.flow_support.flow_run_cache import FlowRunCache, flow_process
from tasks.flow_support.task_log import without_successful_tasks
from tasks.flow_support.wiring import cluster_access, now_ms, places, repository, repository_reference
from tasks.repository.repository import Repository


class OpenFlow(NamedTuple):
    """The flow run's id, the `type/name` of the repository's block, the repository, and the cache of the flow run."""

    flow_run: str
    repository_name: str
    repository: Repository
    cache: FlowRunCache


@contextmanager
def open_flow(
    repository_name: str, cluster: str | None = None, *, first_backup: SnapshotRequest | None = None
) -> Iterator[OpenFlow]:
    """Load the blocks and open the repository, before the flow submits tasks, so that a task of this process never
    waits for the Prefect server. With `first_backup` a missing repository is created, after this backup could be
    planned, so that nothing is left if the run cannot begin. Raises `ConfigError` for a block that does not exist or
    is not valid, what opening the repository raises, and what `KafkaAccess.check_reachable` or `require_plannable`
    raises.
    """
    _freeze_loaded_objects()
    flow = str(flow_run.id)
    with flow_process(flow) as cache, without_successful_tasks(flow):
        with blocks_loaded_once():
            name, before_creation = repository_reference(repository_name), None
            if cluster is not None:
                places(flow, cluster, name)
                access = cluster_access(flow, cluster)
                if first_backup is None:
                    access.check_reachable(cache.stop, is_writing=True)
                else:
                    before_creation = partial(require_plannable, access, first_backup, now_ms, cache.stop)
            opened = repository(flow, name, before_creation=before_creation)
        yield OpenFlow(flow, name, opened, cache)


@cache
def _freeze_loaded_objects() -> None:
    """Exclude all objects that exist now from garbage collection, once per process.

    Prefect's modules are hundreds of thousands of objects that live as long as the process. Without this, the collector
    visits them again and again: a fifth of the CPU time of a run with many small tasks.
    """
    gc.freeze()
