"""A point that contains less than the newest point says so: in its entry, in the set's state, before a restore."""

from __future__ import annotations

from tests.simulation.rules.small_world import SmallWorld, said


def _wiped(world: SmallWorld) -> None:
    """A set with two points: of three topics, and of one that was created again with a single record."""
    for name in ("orders", "payments", "carts"):
        world.topic(name)
    world.back_up()
    for name in ("orders", "payments", "carts"):
        world.source.delete_topic(name)
    world.topic(records=1)
    world.back_up()


def test_a_cluster_that_was_wiped_is_stated_by_its_next_point(world: SmallWorld) -> None:
    _wiped(world)

    shrunk = world.point().entry.shrunk
    assert shrunk is not None
    assert (1, ("carts", "payments"), ("orders",)) == (shrunk.point, shrunk.gone, shrunk.created_again)
    assert "2 topics of set@1 are gone, 1 was created again; 30 → 1 records" == shrunk.counts.text("set")
    assert world.point(1).entry.shrunk is None
    assert [None, shrunk.counts] == [one.shrunk for one in world.repository.state("set").points.values()]


def test_a_restore_of_the_latest_point_after_a_loss_names_the_older_point(world: SmallWorld) -> None:
    _wiped(world)
    world.send(records=2)
    world.back_up()

    for seq in (2, 3):
        [(_, message)] = [one for one in said(world.preview(seq=seq).findings, "warning") if one[0] == f"set@{seq}"]
        assert 'set backup_id: "set@1"' in message
    assert [] == [one for one in said(world.preview(seq=1).findings, "warning") if one[0] == "set@1"]


def test_a_topic_that_exists_and_is_no_longer_selected_is_not_called_gone(world: SmallWorld) -> None:
    world.topic()
    world.topic("carts")
    world.back_up()
    world.back_up("orders")

    shrunk = world.point().entry.shrunk
    assert shrunk is not None
    assert (("carts",), ()) == (shrunk.not_selected, shrunk.gone)


def test_a_topic_that_fails_keeps_its_records_and_nothing_has_shrunk(world: SmallWorld) -> None:
    world.topic()
    world.back_up()
    world.source.elect(("orders", 0), None)
    world.topic("carts")
    world.back_up()

    assert world.point().entry.shrunk is None


def test_an_incremental_point_keeps_the_records_of_a_deleted_topic_and_has_not_shrunk(world: SmallWorld) -> None:
    world.topic()
    world.topic("carts")
    world.back_up_changes()
    world.source.delete_topic("carts")

    assert world.back_up_changes().entry.shrunk is None


def test_an_incremental_point_names_a_topic_that_was_created_again_once(world: SmallWorld) -> None:
    world.topic()
    world.back_up_changes()
    world.source.delete_topic("orders")
    world.topic(records=1)

    point, later = world.back_up_changes(), world.back_up_changes()

    assert point.entry.shrunk is not None
    assert ("1 topic of set@1 was created again", None) == (point.entry.shrunk.counts.text("set"), later.entry.shrunk)
    [message] = [text for name, text in said(world.preview(seq=2).findings, "warning") if name == "set@2"]
    assert 'set backup_id: "set@1"' in message


def test_an_incremental_point_names_a_topic_that_ends_earlier(world: SmallWorld) -> None:
    world.topic()
    world.back_up_changes()
    world.source.elect_uncleanly(("orders", 0), end=5)

    point = world.back_up_changes()

    assert [(5, 10)] == [(note.first, note.next) for note in point.entry.truncated]
    assert point.entry.shrunk is not None
    assert (("orders",), 10, 5) == (
        point.entry.shrunk.ended_earlier,
        point.entry.shrunk.records_before,
        point.entry.shrunk.records,
    )


def test_a_new_base_says_that_it_leaves_out_what_the_chain_kept(world: SmallWorld) -> None:
    world.topic()
    world.topic("carts")
    world.back_up_changes()
    world.source.delete_topic("carts")
    world.source.delete_topic("orders")
    world.topic(records=1)
    world.back_up_changes()

    shrunk = world.back_up().entry.shrunk

    assert shrunk is not None
    assert (("carts",), (), ()) == (shrunk.gone, shrunk.created_again, shrunk.ended_earlier)
    assert (21, 1) == (shrunk.records_before, shrunk.records)
