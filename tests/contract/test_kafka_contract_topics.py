"""The promises of `ClusterAdmin` about the cluster, its topics and their settings."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from tasks.broker.admin_values import DYNAMIC_TOPIC_CONFIG, ConfigChange, ConfigEntry, NewTopicSpec
from tasks.broker.ports import ClusterAdmin
from tasks.model.errors import (
    BrokerError,
    ConfigError,
    InterruptedRunError,
    OffsetOutOfRangeError,
    TopicGoneError,
)
from tests.contract.kafka_logs import Offsets, admin_of, create, create_again, numbered, offsets, partitions_of
from tests.contract.kafkas import LONGEST_MS, KafkaBed


def _spec(
    name: str, *, partitions: int = 1, replicas: int = 1, configs: Mapping[str, str] | None = None
) -> NewTopicSpec:
    return NewTopicSpec(name=name, partitions=partitions, replication_factor=replicas, configs=dict(configs or {}))


def _own(admin: ClusterAdmin, topic: str) -> dict[str, str | None]:
    entries = admin.topic_configs([topic])[topic]
    return {entry.name: entry.value for entry in entries if entry.source == DYNAMIC_TOPIC_CONFIG}


def _by_name(entries: tuple[ConfigEntry, ...]) -> dict[str, ConfigEntry]:
    return {entry.name: entry for entry in entries}


def test_the_cluster_has_an_id_and_counts_its_brokers(bed: KafkaBed) -> None:
    with admin_of(bed) as admin:
        assert 22 == len(admin.cluster_id())
        assert 1 == admin.node_count()
        assert admin.location


def test_topics_are_described_by_name_and_unknown_ones_are_absent(bed: KafkaBed, topic_name: str) -> None:
    other = f"{topic_name}-b"
    with admin_of(bed) as admin:
        assert {topic_name: None, other: None} == admin.create_topics([_spec(topic_name, partitions=3), _spec(other)])

        first, second = admin.describe_topics([other, topic_name, f"{topic_name}-never", other])

        assert (topic_name, other) == (first.name, second.name)
        assert [(0, 1, (1,), (1,)), (1, 1, (1,), (1,)), (2, 1, (1,), (1,))] == [
            (one.partition, one.leader, one.replicas, one.isr) for one in first.partitions
        ]
        assert (22, False, True) == (len(first.topic_id), first.is_internal, first.has_leaders)
        everything = admin.describe_topics()
        assert {topic_name, other} <= {topic.name for topic in everything}
        assert sorted(topic.name for topic in everything) == [topic.name for topic in everything]
        assert [] == admin.describe_topics([])


def test_the_topic_of_positions_is_internal(bed: KafkaBed) -> None:
    with admin_of(bed) as admin:
        admin.committed_offsets(["no-such-group"])
        admin.await_that(lambda: bool(admin.describe_topics(["__consumer_offsets"])), "it was not made")
        [topic] = admin.describe_topics(["__consumer_offsets"])

    assert topic.is_internal
    assert 4 == len(topic.partitions)


def test_an_untouched_topic_has_every_setting_with_the_brokers_values(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    with admin_of(bed) as admin:
        entries = admin.topic_configs([topic_name])[topic_name]

    is_3 = bed.version.startswith("3.")
    assert (36 if is_3 else 33) == len(entries)
    assert sorted(entry.name for entry in entries) == [entry.name for entry in entries]
    assert DYNAMIC_TOPIC_CONFIG not in {entry.source for entry in entries}
    assert {(False, False)} == {(entry.is_sensitive, entry.is_read_only) for entry in entries}
    found = {entry.name: (entry.value, entry.source) for entry in entries}
    expected = {
        "cleanup.policy": ("delete", 5),
        "compression.type": ("producer", 5),
        "delete.retention.ms": ("86400000", 5),
        "follower.replication.throttled.replicas": ("", 5),
        "max.message.bytes": ("1048588", 5),
        "message.timestamp.after.max.ms": (str(LONGEST_MS) if is_3 else "3600000", 5),
        "min.cleanable.dirty.ratio": ("0.5", 5),
        "min.insync.replicas": ("1", 5 if is_3 else 3),
        "preallocate": ("false", 5),
        "retention.bytes": ("-1", 5),
        "retention.ms": ("-1", 4),
        "segment.bytes": ("1073741824", 5),
    }
    assert expected == {name: found[name] for name in expected}
    assert is_3 == ("message.format.version" in found)


def test_the_brokers_values_are_those_of_a_topic_without_settings(bed: KafkaBed, topic_name: str) -> None:
    with admin_of(bed) as admin:
        defaults = admin.topic_defaults()
        admin.create_topics([_spec(topic_name)])
        in_force = {entry.name: entry.value for entry in admin.topic_configs([topic_name])[topic_name]}

    assert {name: in_force[name] for name in defaults} == defaults
    retention = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
    assert retention.items() <= defaults.items()
    assert {"message.timestamp.after.max.ms", "max.message.bytes", "compression.type"} <= defaults.keys()


def test_the_settings_of_many_topics_are_changed_with_an_answer_for_each(bed: KafkaBed, topic_name: str) -> None:
    good, bad, gone = f"{topic_name}-good", f"{topic_name}-bad", f"{topic_name}-gone"
    with admin_of(bed) as admin:
        admin.create_topics([_spec(good, configs={"flush.ms": "7"}), _spec(bad)])
        changes = {
            good: ConfigChange(to_set={"retention.ms": "5"}, to_delete=["flush.ms"]),
            bad: ConfigChange(to_set={"retention.ms": "x"}),
            gone: ConfigChange(to_set={"retention.ms": "5"}),
        }
        checked = admin.alter_topics(changes, validate_only=True)
        assert {"flush.ms": "7"} == _own(admin, good)
        answers = admin.alter_topics(changes)

        assert ({"retention.ms": "5"}, {}) == (_own(admin, good), _own(admin, bad))
    for found in (checked, answers):
        assert [None, ConfigError, BrokerError] == [type(found[name]) if found[name] else None for name in changes]


def test_settings_that_are_set_show_at_once_as_kafka_spells_them(bed: KafkaBed, topic_name: str) -> None:
    with admin_of(bed) as admin:
        admin.create_topics([_spec(topic_name, configs={"retention.ms": "1000", "cleanup.policy": "compact,delete"})])
        assert {"retention.ms": "1000", "cleanup.policy": "compact,delete"} == _own(admin, topic_name)

        to_set = {"retention.ms": " 0005 ", "cleanup.policy": " delete , compact", "preallocate": "TRUE"}
        admin.alter_topic_configs(topic_name, {**to_set, "min.cleanable.dirty.ratio": ".25"}, ())
        assert {
            "retention.ms": "5",
            "cleanup.policy": "delete,compact",
            "preallocate": "true",
            "min.cleanable.dirty.ratio": "0.25",
        } == _own(admin, topic_name)

        admin.alter_topic_configs(
            topic_name,
            {"segment.ms": "5000"},
            ["cleanup.policy", "preallocate", "min.cleanable.dirty.ratio", "flush.ms"],
        )
        assert {"retention.ms": "5", "segment.ms": "5000"} == _own(admin, topic_name)
        assert "delete" == _by_name(admin.topic_configs([topic_name])[topic_name])["cleanup.policy"].value
        admin.alter_topic_configs(topic_name, {}, ())


def test_settings_of_many_topics_are_changed_together_and_each_topic_has_its_own_error(
    bed: KafkaBed, topic_name: str
) -> None:
    names = [f"{topic_name}-{number}" for number in range(4)]
    with admin_of(bed) as admin:
        admin.create_topics([_spec(name, configs={"flush.ms": "9"}) for name in names[:3]])
        changes = {
            names[0]: ConfigChange(to_set={"segment.ms": "5000"}, to_delete=["flush.ms"]),
            names[1]: ConfigChange(to_set={"segment.ms": "5000", "cleanup.policy": "nonsense"}),
            names[2]: ConfigChange(),
            names[3]: ConfigChange(to_set={"segment.ms": "5000"}),
        }
        answers = admin.alter_topics(changes)
        own = [_own(admin, name) for name in names[:3]]

    assert [names[0], names[1], names[2], names[3]] == list(answers)
    assert [None, ConfigError, None, BrokerError] == [None if one is None else type(one) for one in answers.values()]
    assert [{"segment.ms": "5000"}, {"flush.ms": "9"}, {"flush.ms": "9"}] == own


def test_one_refused_setting_changes_none(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    with admin_of(bed) as admin:
        with pytest.raises(ConfigError, match=rf"{topic_name}.*nonsense"):
            admin.alter_topic_configs(topic_name, {"segment.ms": "5000", "cleanup.policy": "nonsense"}, ["flush.ms"])
        assert {} == _own(admin, topic_name)


def test_a_validated_change_changes_nothing_and_is_refused_as_the_change_itself(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    with admin_of(bed) as admin:
        admin.alter_topic_configs(topic_name, {"retention.ms": "5"}, (), validate_only=True)
        with pytest.raises(ConfigError, match="Not a number"):
            admin.alter_topic_configs(topic_name, {"retention.ms": "x"}, (), validate_only=True)
        assert {} == _own(admin, topic_name)


REFUSED = [
    {"no.such.setting": "1"},
    {"retention.ms": "-2"},
    {"retention.ms": ""},
    {"max.message.bytes": "-1"},
    {"max.message.bytes": "99999999999"},
    {"message.timestamp.type": "x"},
    {"compression.type": "x"},
    {"compression.gzip.level": "0"},
    {"compression.zstd.level": "23"},
    {"preallocate": "yes"},
    {"min.cleanable.dirty.ratio": "1.5"},
    {"min.compaction.lag.ms": "100", "max.compaction.lag.ms": "50"},
    {"min.insync.replicas": "0"},
    {"segment.bytes": "13"},
    {"segment.ms": "0"},
    {"local.retention.ms": "-3"},
    {"remote.storage.enable": "true"},
    {"leader.replication.throttled.replicas": "x"},
]
ACCEPTED = [
    {"cleanup.policy": ""},
    {"compression.gzip.level": "-1"},
    {"leader.replication.throttled.replicas": "0:1"},
    {"local.retention.ms": "5"},
    {"min.insync.replicas": "5"},
    {"retention.bytes": "-7"},
    {"retention.ms": " 5 "},
    {"segment.bytes": "1048576"},
    {"unclean.leader.election.enable": "True"},
]
ONLY_IN_3 = [
    {"message.downconversion.enable": "true"},
    {"message.format.version": "2.0"},
    {"message.timestamp.difference.max.ms": "5"},
    {"segment.bytes": "1000"},
]


def test_settings_are_tried_by_a_validated_creation(bed: KafkaBed, topic_name: str) -> None:
    refused = REFUSED + ([] if bed.version.startswith("3.") else ONLY_IN_3)
    accepted = ACCEPTED + (ONLY_IN_3 if bed.version.startswith("3.") else [])
    specs = [_spec(f"{topic_name}-{number}", configs=one) for number, one in enumerate([*refused, *accepted])]

    with admin_of(bed) as admin:
        answers = admin.create_topics(specs, validate_only=True)
        assert [] == admin.describe_topics([spec.name for spec in specs])

    for spec in specs[: len(refused)]:
        error = answers[spec.name]
        assert isinstance(error, ConfigError), spec.configs
        assert spec.name in str(error)
        assert next(iter(spec.configs)).split(".")[0] in str(error) or "Tiered" in str(error)
    assert [None] * len(accepted) == [answers[spec.name] for spec in specs[len(refused) :]]


def test_a_validated_creation_names_the_fault_of_each_topic(bed: KafkaBed, topic_name: str) -> None:
    dotted = f"{topic_name}.dotted"
    with admin_of(bed) as admin:
        admin.create_topics([_spec(topic_name), _spec(dotted)])
        specs = [
            _spec(topic_name),
            _spec(f"{topic_name}_dotted"),
            _spec(f"{topic_name}-replicas", replicas=3),
            _spec(f"{topic_name}-none", replicas=0),
            _spec(f"{topic_name}-partitions", partitions=0),
            _spec(f"{topic_name} with space"),
            _spec(".."),
            _spec("x" * 250),
            _spec(f"{topic_name}-good", replicas=-1, partitions=-1),
        ]

        answers = admin.create_topics(specs, validate_only=True)

        existing = answers.pop(topic_name)
        assert isinstance(existing, BrokerError)
        assert 36 == existing.code
        assert None is answers.pop(f"{topic_name}-good")
        for name, error in answers.items():
            assert isinstance(error, ConfigError), name
            assert name in str(error)
        assert [] == admin.describe_topics([f"{topic_name}-good"])


def test_a_topic_created_twice_exists(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    with admin_of(bed) as admin:
        error = admin.create_topics([_spec(topic_name)])[topic_name]

    assert isinstance(error, BrokerError)
    assert (36, False) == (error.code, error.retryable)


def test_a_topic_created_again_has_another_id_and_no_records_or_settings(bed: KafkaBed, topic_name: str) -> None:
    [before] = create(bed, topic_name, configs={"segment.ms": "5000"})
    bed.produce(topic_name, numbered(3))
    with admin_of(bed) as admin:
        assert {topic_name: None} == admin.delete_topics([topic_name])
        assert [] == admin.describe_topics([topic_name])
        admin.create_topics([_spec(topic_name)])
        [after] = partitions_of(admin, topic_name)
        assert {} == _own(admin, topic_name)

    assert before.topic_id != after.topic_id
    assert Offsets(0, 0, 0) == offsets(bed, after)


def test_deleting_reports_each_topic_and_an_unknown_one_is_an_error(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    never = f"{topic_name}-never"
    with admin_of(bed) as admin:
        answers = admin.delete_topics([topic_name, never])

    assert None is answers[topic_name]
    assert isinstance(answers[never], BrokerError)
    assert 3 == getattr(answers[never], "code", None)


def test_settings_of_a_topic_that_does_not_exist(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    never = f"{topic_name}-never"
    with admin_of(bed) as admin:
        with pytest.raises(TopicGoneError, match=never):
            admin.topic_configs([topic_name, never])
        with pytest.raises(BrokerError, match=never) as caught:
            admin.alter_topic_configs(never, {"retention.ms": "5"}, ())

    assert 3 == caught.value.code


def test_known_settings_leave_out_what_does_not_exist(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    with admin_of(bed) as admin:
        assert [topic_name] == list(admin.known_topic_configs([topic_name, f"{topic_name}-never"]))


def test_records_are_deleted_up_to_an_offset_again_and_again(bed: KafkaBed, topic_name: str) -> None:
    first, second = create(bed, topic_name, 2)
    bed.produce(topic_name, numbered(10))
    places = {(topic_name, 0): 4, (topic_name, 1): 0}
    with admin_of(bed) as admin:
        assert places == admin.delete_records(places)
        assert places == admin.delete_records(places)
        assert {(topic_name, 0): 4} == admin.delete_records({(topic_name, 0): 2}), "a log start never moves back"
        with pytest.raises(OffsetOutOfRangeError, match=f"{topic_name}-0"):
            admin.delete_records({(topic_name, 0): 11})
        for place in ((f"{topic_name}-never", 0), (topic_name, 7)):
            with pytest.raises(BrokerError):
                admin.delete_records({place: 0})

    assert (Offsets(4, 10, 10), Offsets(0, 0, 0)) == (offsets(bed, first), offsets(bed, second))


@pytest.mark.parametrize(("policy", "is_allowed"), [("compact", False), ("compact,delete", True)])
def test_records_of_a_compact_only_topic_cannot_be_deleted(
    bed: KafkaBed, topic_name: str, policy: str, is_allowed: bool
) -> None:
    create(bed, topic_name, configs={"cleanup.policy": policy})
    with admin_of(bed) as admin:
        if is_allowed:
            assert {(topic_name, 0): 0} == admin.delete_records({(topic_name, 0): 0})
            return
        with pytest.raises(ConfigError, match=f"{topic_name}-0"):
            admin.delete_records({(topic_name, 0): 0})


def test_a_wait_returns_when_it_is_so(bed: KafkaBed) -> None:
    answers = iter([False, False, True])
    with admin_of(bed) as admin:
        admin.await_that(lambda: next(answers), "it never is")

    assert [] == list(answers)


def test_a_set_stop_ends_a_wait(bed: KafkaBed) -> None:
    stop = threading.Event()
    stop.set()

    with bed.access.admin(stop) as admin, pytest.raises(InterruptedRunError):
        admin.await_that(lambda: False, "it never is")


def test_topics_are_deleted_by_id_and_a_new_topic_of_the_same_name_stays(bed: KafkaBed, topic_name: str) -> None:
    [old] = create(bed, topic_name)
    [other] = create(bed, f"{topic_name}-other")
    [new] = create_again(bed, topic_name)
    with admin_of(bed) as admin:
        answers = admin.delete_topics_by_id([old.topic_id, other.topic_id, other.topic_id])
        left = [topic.topic_id for topic in admin.describe_topics([topic_name, other.topic])]

    assert {old.topic_id, other.topic_id} == answers.keys()
    assert None is answers[other.topic_id]
    assert isinstance(answers[old.topic_id], TopicGoneError)
    assert old.topic_id in str(answers[old.topic_id])
    assert [new.topic_id] == left
