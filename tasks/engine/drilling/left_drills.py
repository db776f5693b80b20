"""Removes what earlier drills have left: those that died, and topics that a client created again after their removal. A
drill that is running is left alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tasks.broker.admin_values import TopicDescription
from tasks.engine.drilling.clean_up import Removal, clean_up, remove_topics
from tasks.engine.drilling.drill_result import CleanUp
from tasks.engine.run_context import ClusterContext
from tasks.engine.scratch_names import drill_of
from tasks.model.errors import DamagedError, KafkaBackupError, LockedError, UnsupportedError
from tasks.repository.drills import find_drill, left_drills, reported_drills
from tasks.repository.leases import acquire, kept
from tasks.repository.names import RESTORE_LEASES, lease_subject, restore_lease_key
from tasks.repository.pins import remove_pins, restore_purpose
from tasks.repository.restores import restore_parts


def clean_left_drills(context: ClusterContext, *, is_own_cluster_only: bool = False) -> dict[str, CleanUp]:
    """Remove what drills have left, by the id of the drill: topics, groups, leases, pins and records.

    With `is_own_cluster_only` nothing is said about drills on other clusters, nor about scratch topics of drills that
    this repository does not know. Waits for the time to live of the lease of a drill that died. Raises the errors of
    the store; those of the cluster are problems of the result.
    """
    done: dict[str, CleanUp] = {}
    for drill in list(left_drills(context.repository.restore_state)):
        if is_own_cluster_only and _is_elsewhere(context, drill):
            continue
        with _taken(context, drill) as is_taken:
            cleaned = _cleaned(context, drill) if is_taken else None
        if cleaned is not None:
            done[drill] = cleaned
    _remove_unused_leases(context)
    returned = _returned_topics(context, are_unknown_named=not is_own_cluster_only)
    return {drill: one for drill, one in {**returned, **done}.items() if one.has_removed or one.problems or one.kept}


def _is_elsewhere(context: ClusterContext, drill: str) -> bool:
    """Whether the drill ran on another cluster. False if its record cannot be read, so that the clean-up says so."""
    try:
        record = find_drill(context.repository.restore_state, drill)
    except (DamagedError, UnsupportedError):
        return False
    with context.admin() as admin:
        return record is not None and record.cluster_id != admin.cluster_id()


@contextmanager
def _taken(context: ClusterContext, restore: str) -> Iterator[bool]:
    """Hold the lease of a restore while the body runs. Yields False if its owner can be alive. Deletes the lease
    afterwards if nothing else is recorded of the restore."""
    store, key = context.repository.restore_state, restore_lease_key(restore)
    try:
        lease = acquire(store, key, stop=context.stop, clock=context.clock)
    except (LockedError, UnsupportedError):  # a later version wrote the lease
        yield False
        return
    with kept(lease, context.stop):
        yield True
    if restore not in restore_parts(store) and restore not in left_drills(store):
        store.delete([key])


def _cleaned(context: ClusterContext, drill: str) -> CleanUp | None:
    """As `clean_up`. A record that cannot be read is a problem, so that those of other drills are cleaned up."""
    try:
        record = find_drill(context.repository.restore_state, drill)
    except (DamagedError, UnsupportedError) as error:
        return CleanUp(topics={}, groups=(), problems=(str(error),))
    return None if record is None else clean_up(context, record)


def _remove_unused_leases(context: ClusterContext) -> None:
    """Remove the leases and pins of restores and drills that died before they had recorded anything else."""
    store = context.repository.restore_state
    recorded = {*restore_parts(store), *left_drills(store)}
    held = [lease_subject(info.key)[1] for info in store.list(RESTORE_LEASES)]
    for restore in held:
        if restore not in recorded:
            with _taken(context, restore) as is_taken:
                if is_taken:
                    remove_pins(context.repository.store, restore_purpose(restore))


def _returned_topics(context: ClusterContext, *, are_unknown_named: bool) -> dict[str, CleanUp]:
    """Remove empty topics with the names of drills that have ended. A client has created them again."""
    repository = context.repository
    running = set(left_drills(repository.restore_state))
    ended = reported_drills(repository.store) - running
    done: dict[str, Removal] = defaultdict(Removal)
    try:
        with context.admin() as admin:
            for drill, topics in _scratch_topics(admin.describe_topics()).items():
                if drill in ended:
                    remove_topics(context, admin, topics, {}, done[drill])
                    done[drill].again += done[drill].removed
                elif are_unknown_named and drill not in running:
                    done[drill].kept += [
                        f"The topic {topic.name} has the name of a drill that this repository does not know. It stays."
                        for topic in topics
                    ]
    except KafkaBackupError as error:
        done[""].problems.append(f"Topics of earlier drills cannot be looked for: {error}")
    return {drill: removal.result() for drill, removal in done.items()}


def _scratch_topics(topics: Sequence[TopicDescription]) -> dict[str, list[TopicDescription]]:
    found: dict[str, list[TopicDescription]] = defaultdict(list)
    for topic in topics:
        drill = drill_of(topic.name)
        if drill is not None:
            found[drill].append(topic)
    return found
