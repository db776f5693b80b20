"""Quotas and users in a point: kept when asked for, shared between points, and never a reason to lose records."""

from __future__ import annotations

import pytest

from tasks.broker.admin_values import ScramCredential, ScramUser
from tasks.engine.consolidate import consolidate_locally
from tasks.engine.consolidation.candidates import LEAST_OBJECTS
from tasks.engine.retention.named_objects import NamedObjects, named_by_plan
from tasks.engine.validate import validate_locally
from tasks.model.errors import BrokerUnavailableError
from tasks.repository.plans import read_plan
from tasks.repository.points import PointReference
from tasks.repository.restore_point import RestorePoint
from tests.simulation.rules.small_world import SET, SmallWorld, kafka

ALICE = ScramUser(name="alice", credentials=(ScramCredential(mechanism="SCRAM-SHA-256", iterations=4096),))


@pytest.fixture
def world() -> SmallWorld:
    """A source with a topic, a quota of one user and a default, and one user."""
    world = SmallWorld()
    world.source = kafka(world.clock, seed=1, has_authorizer=True)
    world.topic()
    world.source.client_quotas = {
        (("user", "alice"),): {"producer_byte_rate": 1000.0},
        (("client-id", None), ("user", "alice")): {"request_percentage": 12.5},
    }
    world.source.users = [ALICE]
    return world


def _back_up(world: SmallWorld) -> RestorePoint:
    return world.back_up_changes(client_state_snapshot=True)


def test_quotas_and_users_are_kept_only_when_the_backup_asks_for_them(world: SmallWorld) -> None:
    without = world.back_up()
    assert None is without.clients
    assert "clients" not in without.entry.to_json(), "older versions read the same bytes"

    found = world.back_up(client_state_snapshot=True).clients

    assert found is not None
    assert [
        ([("client-id", None), ("user", "alice")], {"request_percentage": 12.5}),
        ([("user", "alice")], {"producer_byte_rate": 1000.0}),
    ] == [([(part.type, part.name) for part in quota.entity], quota.values) for quota in found.quotas]
    assert [("alice", [("SCRAM-SHA-256", 4096)])] == [
        (user.user, [(one.mechanism, one.iterations) for one in user.credentials]) for user in found.users
    ]
    assert (None, None) == (found.quotas_absent, found.users_absent)
    world.assert_valid()


def test_a_cluster_without_quotas_and_users_has_empty_lists_without_a_reason(world: SmallWorld) -> None:
    world.source.client_quotas, world.source.users = {}, []
    found = _back_up(world).clients
    assert found is not None
    assert ((), None, (), None) == (found.quotas, found.quotas_absent, found.users, found.users_absent)


def test_an_unchanged_state_is_stored_once_and_a_changed_one_again(world: SmallWorld) -> None:
    keys = []
    for change in (False, False, True):
        if change:
            world.source.client_quotas[(("user", "bob"),)] = {"consumer_byte_rate": 5.0}
        world.send()
        ref = _back_up(world).entry.clients
        assert ref is not None
        keys.append(ref.key)

    assert keys[0] == keys[1] != keys[2]
    assert 2 == len({*keys})
    world.assert_valid()


def test_a_missing_permission_is_a_reason_and_the_records_are_kept(world: SmallWorld) -> None:
    world.source.permissions.allow_only("ANONYMOUS", "Cluster", "kafka-cluster", "Create")

    point = world.back_up(client_state_snapshot=True, consumer_group_snapshot=False)

    assert ("complete", 10) == (point.entry.status, point.entry.totals.records)
    assert point.clients is not None
    assert ((), ()) == (point.clients.quotas, point.clients.users)
    assert "DescribeConfigs on Cluster" in str(point.clients.quotas_absent)
    assert "Describe on Cluster" in str(point.clients.users_absent)
    notes = read_plan(world.store, SET, point.entry.run).notes
    assert ["client quotas are not in this point", "users are not in this point"] == [
        note.split(":")[0] for note in notes
    ]


def test_a_cluster_that_does_not_answer_about_quotas_costs_no_record(world: SmallWorld) -> None:
    def fail() -> None:
        raise BrokerUnavailableError("no answer")

    world.faults.before("admin.read_quotas", fail)
    point = world.back_up(client_state_snapshot=True)
    assert ("complete", 10) == (point.entry.status, point.entry.totals.records)
    assert point.clients is not None
    assert "no answer" in str(point.clients.quotas_absent)
    assert 1 == len(point.clients.users)


def test_points_and_plans_name_the_state_so_that_no_prune_deletes_it(world: SmallWorld) -> None:
    point = _back_up(world)
    assert point.entry.clients is not None
    key = point.entry.clients.key
    assert key in NamedObjects(world.repository.log(SET)).of_points([point.seq])
    assert key in set(named_by_plan(read_plan(world.store, SET, point.entry.run)))


def test_a_consolidation_keeps_quotas_and_users(world: SmallWorld) -> None:
    for _ in range(LEAST_OBJECTS):
        world.send(records=4, per_batch=2)
        before = _back_up(world)
        world.clock.advance(1000)

    done = consolidate_locally(world.context(world.source), SET, workers=1)

    assert done is not None
    newest = world.point()
    assert "consolidated" == newest.entry.point_kind
    assert before.clients == newest.clients
    world.assert_valid()


def test_damage_of_the_state_is_found(world: SmallWorld) -> None:
    ref = _back_up(world).entry.clients
    assert ref is not None
    world.store.delete([ref.key])

    result = validate_locally(world.context(world.source), PointReference(SET), level="quick")

    assert [ref.key] == [finding.object for finding in result.findings]
