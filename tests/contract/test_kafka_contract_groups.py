"""The promises of `ClusterAdmin` about consumer groups and their positions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.broker.admin_values import CommittedOffset, GroupDescription, GroupListing, TopicPartition
from tasks.broker.ports import ClusterAdmin
from tasks.model.errors import BrokerError, ConfigError, KafkaBackupError
from tests.contract.kafka_logs import admin_of, create
from tests.contract.kafkas import KafkaBed


def _position(topic: str, partition: int, offset: int, metadata: str = "", epoch: int | None = None) -> CommittedOffset:
    return CommittedOffset(topic=topic, partition=partition, offset=offset, metadata=metadata, leader_epoch=epoch)


def _positions(answer: list[CommittedOffset] | KafkaBackupError) -> list[CommittedOffset]:
    assert not isinstance(answer, KafkaBackupError)
    return sorted(answer, key=lambda one: (one.topic, one.partition))


def _codes(answers: dict[TopicPartition, KafkaBackupError | None]) -> dict[TopicPartition, int | None]:
    return {place: getattr(error, "code", None) for place, error in answers.items()}


def _listing(admin: ClusterAdmin, group: str) -> GroupListing:
    [listing] = [one for one in admin.list_groups() if one.group_id == group]
    return listing


def _skip_unless_known(bed: KafkaBed, kind: str) -> None:
    if kind != "classic" and bed.version.startswith("3."):
        pytest.skip("Kafka 3.9 has no KIP-848 and no share groups")


def test_positions_keep_offset_metadata_and_leader_epoch(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name, 3)
    written = [
        _position(topic_name, 0, 0, epoch=0),
        _position(topic_name, 1, 7, "né à Paris"),
        _position(topic_name, 2, 1 << 40, "m" * 4_000, epoch=3),
    ]
    first, second = f"{topic_name}-1", f"{topic_name}-2"
    with admin_of(bed) as admin:
        assert dict.fromkeys([(topic_name, number) for number in range(3)]) == admin.commit_offsets(first, written)
        assert {(topic_name, 0): None} == admin.commit_offsets(second, written[:1])

        found = admin.committed_offsets([first, second, f"{topic_name}-never", ""])

        assert [first, second, f"{topic_name}-never", ""] == list(found)
        assert written == _positions(found[first])
        assert written[:1] == _positions(found[second])
        assert [] == found[f"{topic_name}-never"]
        assert [] == found[""]
        assert {(topic_name, 1): None} == admin.commit_offsets(first, [_position(topic_name, 1, 8)])
        assert [0, 8, 1 << 40] == [one.offset for one in _positions(admin.committed_offsets([first])[first])]


STRANGE_NAMES = ["", "nul\0byte", "two\nlines", "a/b", "with space", "né-日本", "..", "%2e", "a|b", "x" * 5_000]


def test_a_group_can_have_any_name(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    names = [f"{topic_name}{name}" if name else "" for name in STRANGE_NAMES]
    with admin_of(bed) as admin:
        for number, name in enumerate(names):
            assert {(topic_name, 0): None} == admin.commit_offsets(name, [_position(topic_name, 0, number)])

        found = admin.committed_offsets(names)
        listed = {one.group_id for one in admin.list_groups()}
        described = admin.describe_groups(names)

    mine = {
        name: [one.offset for one in _positions(answer) if one.topic == topic_name] for name, answer in found.items()
    }
    assert {name: [number] for number, name in enumerate(names)} == mine
    assert set(names) <= listed
    assert [(name, "Empty") for name in names] == [(one.group_id, one.state) for one in described]


def test_metadata_comes_back_as_it_was_written(bed: KafkaBed, topic_name: str) -> None:
    texts = ["m", "m\0", "\0", "né 日本 😀", "two\nlines", "😀" * 2_048]
    create(bed, topic_name, len(texts))
    with admin_of(bed) as admin:
        wanted = [_position(topic_name, number, 1, text) for number, text in enumerate(texts)]
        assert {None} == set(admin.commit_offsets(topic_name, wanted).values())
        assert texts == [one.metadata for one in _positions(admin.committed_offsets([topic_name])[topic_name])]


def test_metadata_that_is_too_large_is_named_with_both_sizes(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name, 3)
    wanted = [_position(topic_name, number, 5, "m" * size) for number, size in enumerate((20_000, 0, 4_096))]
    with admin_of(bed) as admin:
        answers = admin.commit_offsets(topic_name, wanted)

    assert "20,000 characters" in str(answers[topic_name, 0])
    assert "4,096" in str(answers[topic_name, 0])
    assert [None, None] == [answers[topic_name, number] for number in (1, 2)]


def test_a_commit_makes_an_empty_classic_group(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    with admin_of(bed) as admin:
        admin.commit_offsets(topic_name, [_position(topic_name, 0, 1)])

        assert GroupListing(group_id=topic_name, group_type="classic", state="Empty", protocol_type="") == _listing(
            admin, topic_name
        )
        never = f"{topic_name}-never"
        assert [
            GroupDescription(group_id=never, group_type="classic", state="Dead", members=0),
            GroupDescription(group_id=topic_name, group_type="classic", state="Empty", members=0),
        ] == admin.describe_groups([never, topic_name])
        assert [] == admin.describe_groups([])


def test_groups_are_listed_by_id(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    names = [f"{topic_name}-{letter}" for letter in "cab"]
    with admin_of(bed) as admin:
        for name in names:
            admin.commit_offsets(name, [_position(topic_name, 0, 1)])

        assert sorted(names) == [one.group_id for one in admin.list_groups() if one.group_id in names]


def test_a_position_that_cannot_be_written_keeps_no_other_out(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name, 3)
    never = f"{topic_name}-never"
    wanted = [
        _position(topic_name, 0, 5),
        _position(topic_name, 1, 5, "m" * 5_000),
        _position(topic_name, 2, -1),
        _position(topic_name, 9, 5),
        _position(never, 0, 5),
    ]
    with admin_of(bed) as admin:
        answers = admin.commit_offsets(topic_name, wanted)
        assert wanted[:1] == _positions(admin.committed_offsets([topic_name])[topic_name])

    assert None is answers[topic_name, 0]
    assert {(topic_name, 1): 12, (topic_name, 9): 3, (never, 0): 3} == {
        place: code for place, code in _codes(answers).items() if code is not None
    }
    assert isinstance(answers[topic_name, 2], ConfigError)


@pytest.mark.parametrize("kind", ["classic", "consumer"])
def test_a_group_with_members_is_stable_and_takes_no_positions(bed: KafkaBed, topic_name: str, kind: str) -> None:
    _skip_unless_known(bed, kind)
    other, never = f"{topic_name}-other", f"{topic_name}-never"
    create(bed, topic_name)
    create(bed, other)
    with admin_of(bed) as admin:
        with bed.group_member(topic_name, topic_name, kind=kind):
            listing = _listing(admin, topic_name)
            described = admin.describe_groups([topic_name])
            wanted = [_position(topic, 0, 1) for topic in (topic_name, other, never)]
            refused = admin.commit_offsets(topic_name, wanted)

        assert {topic_name: []} == admin.committed_offsets([topic_name])
        assert "Empty" == _listing(admin, topic_name).state
        assert {(topic_name, 0): None} == admin.commit_offsets(topic_name, wanted[:1])
        assert kind == _listing(admin, topic_name).group_type

    assert GroupListing(group_id=topic_name, group_type=kind, state="Stable", protocol_type="consumer") == listing
    assert [GroupDescription(group_id=topic_name, group_type=kind, state="Stable", members=1)] == described
    assert {(topic_name, 0): 25, (other, 0): 25, (never, 0): 3} == _codes(refused)
    assert topic_name in str(refused[other, 0])


def test_a_share_group_is_listed_as_one_and_has_no_positions(bed: KafkaBed, topic_name: str) -> None:
    _skip_unless_known(bed, "share")
    create(bed, topic_name)
    with admin_of(bed) as admin, bed.group_member(topic_name, topic_name, kind="share"):
        listing = _listing(admin, topic_name)
        described = admin.describe_groups([topic_name])
        answers = admin.commit_offsets(topic_name, [_position(topic_name, 0, 1)])
        found = admin.committed_offsets([topic_name])

    assert GroupListing(group_id=topic_name, group_type="share", state="Stable", protocol_type="share") == listing
    assert [GroupDescription(group_id=topic_name, group_type="classic", state="Dead", members=0)] == described
    assert {(topic_name, 0): 69} == _codes(answers)
    assert {topic_name: []} == found


def test_positions_of_a_member_are_read_back(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name, 2)
    bed.commit(topic_name, topic_name, {0: 3, 1: 9})

    with admin_of(bed) as admin:
        found = _positions(admin.committed_offsets([topic_name])[topic_name])

    assert [(0, 3), (1, 9)] == [(one.partition, one.offset) for one in found]


def test_positions_that_a_transaction_is_committing_are_waited_for(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    bed.commit(topic_name, topic_name, {0: 1})

    with admin_of(bed) as admin:
        found = bed.while_commit_is_pending(topic_name, topic_name, 9, lambda: admin.committed_offsets([topic_name]))

    assert [9] == [one.offset for one in _positions(found[topic_name])]


def test_a_transaction_that_stays_open_leaves_the_last_positions_and_marks_them(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name, 2)
    groups = [f"{topic_name}-{number}" for number in range(3)]
    before = [_position(topic_name, 0, 3, "m", epoch=0), _position(topic_name, 1, 4)]
    with admin_of(bed) as admin:
        for group in groups[:2]:
            admin.commit_offsets(group, before)
        with bed.pending_commits(groups, topic_name, 9):
            found = admin.committed_offsets([*groups, f"{topic_name}-never"])

    marked = [replace(before[0], is_unsettled=True), before[1]]
    assert [marked, marked] == [_positions(found[group]) for group in groups[:2]]
    assert [] == found[groups[2]], "Kafka does not list what was never committed"
    assert [] == found[f"{topic_name}-never"]


def test_positions_of_a_deleted_topic_are_gone(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    create(bed, f"{topic_name}-stays")
    kept = _position(f"{topic_name}-stays", 0, 2)
    with admin_of(bed) as admin:
        admin.commit_offsets(topic_name, [_position(topic_name, 0, 1), kept])
        admin.delete_topics([topic_name])

        admin.await_that(lambda: [kept] == admin.committed_offsets([topic_name])[topic_name], "they are still there")


def test_a_group_without_members_is_deleted_and_one_with_members_stays(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    idle, busy, unknown = (f"{topic_name}-{name}" for name in ("idle", "busy", "unknown"))
    bed.commit(idle, topic_name, {0: 0})
    with bed.group_member(busy, topic_name, kind="classic"), admin_of(bed) as admin:
        answers = admin.delete_groups([idle, busy, unknown])
        left = {one.group_id for one in admin.list_groups()} & {idle, busy, unknown}

    assert [idle, busy, unknown] == list(answers)
    assert None is answers[idle]
    for group in (busy, unknown):
        assert isinstance(answers[group], BrokerError)
        assert group in str(answers[group])
    assert {busy} == left
