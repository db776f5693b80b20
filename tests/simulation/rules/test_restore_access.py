"""A restore and the ACLs, quotas and users of its point: shown, added where they are missing, never removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tasks.broker.admin_values import AclBinding, ScramCredential, ScramUser
from tasks.engine.restore_steps import choose, finish_restore, restore_targets, started_restore
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError, RefusedError
from tasks.repository.points import PointReference
from tasks.repository.restores import StepDone, read_part
from tests.simulation.rules.small_world import SET, SmallWorld, kafka, refused, said

QUOTA = (("user", "alice"),)
OTHER_QUOTA = (("client-id", None), ("user", "bob"))
ALICE = ScramUser(name="alice", credentials=(ScramCredential(mechanism="SCRAM-SHA-256", iterations=4096),))
READ = AclBinding(
    resource_type="TOPIC",
    resource_name="orders",
    pattern_type="LITERAL",
    principal="User:alice",
    host="*",
    operation="READ",
    permission="ALLOW",
)
PREFIXED = replace(READ, resource_name="ord", pattern_type="PREFIXED", permission="DENY", operation="DELETE")
ON_GROUP = replace(READ, resource_type="GROUP", resource_name="billing")
APPLY: Mapping[str, Any] = {"acls": "apply", "quotas": "apply"}


@pytest.fixture
def world() -> SmallWorld:
    """A backed-up topic on a source with ACLs, quotas and a user; and an empty target with an authorizer."""
    world = SmallWorld()
    world.source = kafka(world.clock, seed=1, has_authorizer=True)
    world.target = kafka(world.clock, seed=2, has_authorizer=True)
    world.topic()
    world.source.permissions.rules = [
        READ,
        PREFIXED,
        ON_GROUP,
        *(
            replace(READ, principal="User:ANONYMOUS", operation="ALL", resource_type=kind, resource_name=name)
            for kind, name in (("TOPIC", "orders"), ("GROUP", "billing"))
        ),
    ]
    world.source.client_quotas = {QUOTA: {"producer_byte_rate": 1000.0}, OTHER_QUOTA: {"request_percentage": 5.0}}
    world.source.users = [ALICE]
    world.back_up(client_state_snapshot=True)
    return world


def _restored_acls(world: SmallWorld) -> list[AclBinding]:
    return sorted(rule for rule in world.target.permissions.rules if rule.principal == "User:alice")


def test_without_the_options_neither_is_touched_or_mentioned(world: SmallWorld) -> None:
    result = world.restore()
    assert ([], {}) == (world.target.permissions.rules, world.target.client_quotas)
    assert set() == {finding.subject for finding in result.findings} & {"acls", "quotas", "users"}
    assert not {"acls", "quotas"} & result.plan.options.keys(), "plans without the feature keep their bytes"
    assert None is read_part(world.store, result.plan.restore, "access", StepDone)


def test_plan_shows_what_is_missing_and_writes_nothing(world: SmallWorld) -> None:
    world.target.permissions.rules = [ON_GROUP]
    world.target.client_quotas = {QUOTA: {"producer_byte_rate": 7.0}}

    preview = world.preview(acls="plan", quotas="plan")
    result = world.restore(acls="plan", quotas="plan")

    notes, warnings = said(preview.findings, "note"), said(preview.findings, "warning")
    assert (
        "acls",
        "ALLOW READ on TOPIC copy (LITERAL) for User:alice from * would be added with acls: apply.",
    ) in notes
    assert ("acls", "1 ACL of the point exist on the target already.") in notes
    assert any("PREFIXED" in text and "is left out" in text for _, text in notes)
    assert any("deny something are left out" in text for _, text in warnings)
    assert any("producer_byte_rate of user alice is 7 on the target and 1,000 in the point" in t for _, t in warnings)
    assert ("users", "alice: create them yourself, because Kafka does not return secrets.") in notes
    assert ([ON_GROUP], {QUOTA: {"producer_byte_rate": 7.0}}) == (
        world.target.permissions.rules,
        world.target.client_quotas,
    )
    assert ((), (), ()) == (result.access.acls_added, result.access.quotas_set, result.access.failures)


def test_apply_adds_what_is_missing_under_the_names_of_the_target_and_keeps_what_exists(world: SmallWorld) -> None:
    own = replace(READ, principal="User:carol", resource_name="else")
    world.target.permissions.rules = [own]
    world.target.client_quotas = {QUOTA: {"producer_byte_rate": 7.0}, (("user", "carol"),): {"x": 1.0}}

    result = world.restore(**APPLY)

    assert [ON_GROUP, replace(READ, resource_name="copy")] == _restored_acls(world)
    assert own in world.target.permissions.rules
    assert {
        QUOTA: {"producer_byte_rate": 7.0},
        OTHER_QUOTA: {"request_percentage": 5.0},
        (("user", "carol"),): {"x": 1.0},
    } == world.target.client_quotas
    assert (4, 1, ()) == (len(result.access.acls_added), len(result.access.quotas_set), result.access.failures)
    assert not result.is_partial
    assert 10 == len(world.contents("copy"))


def test_patterns_are_added_when_every_topic_keeps_its_name(world: SmallWorld) -> None:
    world.restore({"orders": "orders"}, acls="apply")
    assert [ON_GROUP, PREFIXED, READ] == _restored_acls(world)


def test_a_failure_is_named_and_the_records_stay_restored(world: SmallWorld) -> None:
    def fail() -> None:
        raise BrokerUnavailableError("the controller is away")

    world.target_faults.before("admin.set_quotas", fail)

    result = world.restore(**APPLY)

    assert result.is_partial
    assert ["the controller is away"] == [text.split(": ")[-1] for text in result.access.failures]
    assert 4 == len(result.access.acls_added)
    assert (10, []) == (len(world.contents("copy")), list(result.mismatches))
    done = read_part(world.store, result.plan.restore, "finalized", StepDone)
    assert None is not done, "the topics got their settings"


def test_the_recorded_step_is_not_repeated(world: SmallWorld) -> None:
    result = world.restore(**APPLY)
    world.target.permissions.rules.clear()
    world.target.client_quotas.clear()

    started = started_restore(world.repository, result.plan.restore)
    with world.admin() as admin:
        again = finish_restore(
            world.repository, admin, started, restore_targets(world.repository, result.plan.restore), ()
        )

    assert result.access == again.access
    assert ([], {}) == (world.target.permissions.rules, world.target.client_quotas)


def test_a_restore_that_ended_before_the_acls_were_added_adds_them_when_it_goes_on(world: SmallWorld) -> None:
    def stop() -> None:
        raise InterruptedRunError("stopped")

    world.target_faults.before("admin.create_acls", stop)
    with pytest.raises(InterruptedRunError):
        world.restore(**APPLY)
    [restore] = world.restores()

    started = started_restore(world.repository, restore)
    with world.admin() as admin:
        finished = finish_restore(world.repository, admin, started, restore_targets(world.repository, restore), ())

    assert [ON_GROUP, replace(READ, resource_name="copy")] == _restored_acls(world)
    assert (4, 2, ()) == (
        len(finished.access.acls_added),
        len(finished.access.quotas_set),
        finished.access.failures,
    )


@pytest.mark.parametrize(("begun", "asked"), [("apply", "ignore"), ("ignore", "apply"), ("plan", "apply")])
def test_a_restore_is_not_continued_with_another_choice_about_acls(world: SmallWorld, begun: str, asked: str) -> None:
    def stop() -> None:
        raise InterruptedRunError("stopped")

    world.target_faults.before("writer.produce", stop)
    with pytest.raises(InterruptedRunError):
        world.restore(acls=begun)

    context = world.context(world.target)
    with context.admin() as admin, pytest.raises(RefusedError, match=f"its acls is {begun} and not {asked}"):
        choose(context, admin, PointReference(SET), world.restore_request(acls=asked))
    with context.admin() as admin:
        again = choose(context, admin, PointReference(SET), world.restore_request(acls=begun))
    assert again.is_continued


def test_apply_is_refused_before_anything_changes_if_a_permission_or_the_data_is_missing(world: SmallWorld) -> None:
    world.target.permissions.allow_only("ANONYMOUS", "Cluster", "kafka-cluster", "Create", "Describe")
    assert ["acls", "quotas"] == [finding.subject for finding in world.preview(**APPLY).findings if finding.is_denied]
    world.target.permissions.rules = []
    world.back_up()
    with refused(RefusedError, "the point contains no client quotas: the backup was made without", code=3):
        world.restore(quotas="apply")
    assert "copy" not in world.target.topics.by_name


def test_a_target_without_authorizer_is_an_error_for_apply_and_a_warning_for_plan(world: SmallWorld) -> None:
    world.target = kafka(world.clock, seed=2)
    for mode, level in (("apply", "error"), ("plan", "warning")):
        [(subject, message)] = said(world.preview(acls=mode).findings, level)
        assert ("acls", True) == (subject, "the cluster has no authorizer" in message)
