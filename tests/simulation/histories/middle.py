"""What happens in the middle of a struck run: the cluster changes, or another writer backs the set up."""

from __future__ import annotations

from collections.abc import Callable

from tasks.engine.run_context import ClusterContext
from tasks.model.errors import KafkaBackupError, LockedError
from tasks.repository.document import seal, unseal
from tasks.repository.names import capture_lease_key
from tests.simulation.histories.attempt import Attempt
from tests.simulation.histories.laws import require
from tests.simulation.histories.strikes import Strike
from tests.simulation.histories.world import SET, World

OtherWriter = Callable[[ClusterContext, Callable[[str], None]], None]
"""Backs up in a process of its own. The second argument is the `waiting` of a backup."""


def act_in_the_middle(world: World, strike: Strike, attempt: Attempt, other: OtherWriter) -> None:
    """Make the change of the strike, or let the other writer back up. A rival is refused."""
    if strike.kind == "change":
        assert strike.change is not None
        strike.change.run(world)
        attempt.look()
        return
    context = world.context(world.source)
    is_rival = strike.kind == "rival"

    def waiting(owner: str) -> None:
        if is_rival:
            _beat(context)

    try:
        other(context, waiting)
    except LockedError:
        return
    except KafkaBackupError as error:
        world.log.append(f"  the other writer: {type(error).__name__}: {error}")
        return
    require(not is_rival, "a second writer is refused while the first one is alive")


def can_succeed(world: World) -> bool:
    """Whether there is something to back up, and every partition has a leader."""
    topics = [topic for topic in world.source.topics.by_name.values() if not topic.is_internal]
    return bool(topics) and all(led.leader is not None for topic in topics for led in topic.partitions)


def _beat(context: ClusterContext) -> None:
    """The first writer's heartbeat, which comes while the second one waits."""
    store, key = context.repository.store, capture_lease_key(SET)
    data, info = store.get(key)
    record = unseal(data, key=key)
    store.compare_and_swap(key, [seal({**record, "beat": record["beat"] + 1})], expected=info.version)
