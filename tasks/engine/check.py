"""Checks, before a backup or a restore runs, that cluster and store are as it needs them. Nothing stays changed.

Three steps, which the command runs one after the other and a flow as tasks: the cluster as such, the store as such, and
the job itself (its ACLs, topics, point and findings). Each item runs on its own: its error is its row.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tasks.broker.ports import ClusterAccess, ClusterAdmin
from tasks.engine.checks.backup_permissions import backup_permission_items
from tasks.engine.checks.bucket import bucket_items
from tasks.engine.checks.cluster import cluster_items, is_reached, unreached_item
from tasks.engine.checks.items import CheckItem, missing, ok, rows, unknown
from tasks.engine.checks.jobs import BackupJob, CheckJob, RestoreJob, set_name_of
from tasks.engine.checks.restore_permissions import restore_permission_items
from tasks.engine.checks.store import data_place_items, free_space_item, repository_items, trial_items
from tasks.engine.checks.target import finding_items
from tasks.engine.restore_steps import preview_restore
from tasks.engine.run_context import ClusterContext
from tasks.engine.target.restore_plan import read_source
from tasks.model.errors import ConfigError, NotFoundError
from tasks.repository.repository import Repository
from tasks.store.bucket_rules import BucketRules
from tasks.store.protocol import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """The functions that open what a check needs. The check calls them itself, so that a failure to open something is a
    row. `open_trial` opens a store for trials whose objects are deleted again; `trial_location` is its location.
    `open_data_place` opens the place of the data; None if that is the same store. `free_bytes` returns the free space
    of the store, None if it is not known. `open_bucket` returns the lifecycle rules of the store's bucket, None if it
    has none that this program reads. `location` is the store, for messages."""

    location: str
    open_cluster: Callable[[], ClusterAccess]
    open_trial: Callable[[], AbstractContextManager[ObjectStore]]
    trial_location: str
    open_data_place: Callable[[], AbstractContextManager[ObjectStore]] | None
    open_repository: Callable[[], Repository]
    free_bytes: Callable[[], int | None]
    open_bucket: Callable[[], BucketRules | None]
    now_ms: Callable[[], int]
    stop: threading.Event


def check_cluster(context: CheckContext, job: CheckJob) -> list[CheckItem]:
    """The rows about the cluster: addresses, requests, authentication, limits. Raises `InterruptedRunError`."""

    def items() -> Iterable[CheckItem]:
        return cluster_items(context.open_cluster().probe(context.stop), job, context.now_ms())

    return rows("cluster", "connection settings", items)


def check_store(context: CheckContext, job: CheckJob) -> list[CheckItem]:
    """The rows about the store: rights, conditions, clock, repository, point, lifecycle rules, space. Raises
    `InterruptedRunError`."""

    def trial() -> list[CheckItem]:
        with context.open_trial() as store:
            return trial_items(store, context.trial_location, context.now_ms)

    found = rows(context.trial_location, "open", trial)
    if any(item.status == "unknown" and item.is_needed for item in found[:1]):
        return found  # the store does not answer, and each further row would wait for it again
    return [
        *found,
        *_data_place_items(context),
        *rows(context.location, "repository", lambda: repository_items(context.open_repository, context.location, job)),
        *bucket_items(context.open_bucket, context.location, set_name_of(job)),
        free_space_item(context.location, context.free_bytes(), job),
    ]


def _data_place_items(context: CheckContext) -> list[CheckItem]:
    open_place = context.open_data_place
    if open_place is None:
        return []

    def trial() -> list[CheckItem]:
        with open_place() as store:
            return data_place_items(store, context.location)

    return rows(context.location, "open", trial)


def check_job(context: CheckContext, job: CheckJob, earlier: Sequence[CheckItem]) -> list[CheckItem]:
    """The rows about the job itself. `earlier` are the rows of the other two steps. Raises `InterruptedRunError`."""
    if not is_reached(earlier):
        return [unreached_item("ACLs and topics")]

    def items() -> list[CheckItem]:
        access = context.open_cluster()
        with access.admin(context.stop) as admin:
            if isinstance(job, BackupJob):
                return [
                    *backup_permission_items(admin, job),
                    *rows("set", "cluster", lambda: _set_items(context, admin, job)),
                ]
            return _restore_items(context, access, admin, job)

    return rows("ACLs and topics", "checks", items)


def check(context: CheckContext, job: CheckJob, started: Callable[[str], None] = lambda step: None) -> list[CheckItem]:
    """All rows, in the order in which they should be corrected. `started` is called with the subject of each step."""
    started("the cluster")
    cluster = check_cluster(context, job)
    started("the store")
    store = check_store(context, job)
    started("permissions and topics")
    return [*cluster, *store, *check_job(context, job, [*cluster, *store])]


def _restore_items(
    context: CheckContext, access: ClusterAccess, admin: ClusterAdmin, job: RestoreJob
) -> list[CheckItem]:
    repository = context.open_repository()
    point = repository.point(job.reference)
    targets = [target.name for target in read_source(repository, point, job.request).targets]
    permissions = restore_permission_items(admin, access.probe(context.stop), job, point, targets)
    if any(item.stops_the_job for item in permissions):
        reason = "not checked, because permissions are missing"
        return [*permissions, unknown("target topics", "preflight", reason, "Add the ACLs first.")]

    def findings() -> Iterable[CheckItem]:
        run = ClusterContext(repository=repository, cluster=access, stop=context.stop)
        return finding_items(preview_restore(run, admin, point, job.request).findings)

    return [*permissions, *rows("target topics", "preflight", findings)]


def _set_items(context: CheckContext, admin: ClusterAdmin, job: BackupJob) -> Iterator[CheckItem]:
    """The row about the cluster that the set's newest point belongs to. None before the first point."""
    try:
        newest = context.open_repository().log(job.set_name).newest_point()
    except NotFoundError:
        return
    if newest is None:
        return
    own, other = admin.cluster_id(), newest.entry.cluster_id
    if own == other:
        yield ok(f"set {job.set_name}", "cluster", f"its points are of this cluster, {own}")
    else:
        text = f"the set belongs to cluster {other}; this is cluster {own}"
        yield missing(
            f"set {job.set_name}",
            "cluster",
            text,
            "Correct the address of the cluster, or choose another set with backup_id.",
            ConfigError,
        )
