"""Two pictures of a cluster: one without differences to itself, and one that its differences turn into the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.broker.admin_values import AclBinding
from tasks.engine.cluster_state.differences import WHOLE, Difference, compare, subjects
from tasks.engine.cluster_state.picture import SECTIONS, ClusterPicture, Section, TopicPicture

NAMES = st.sampled_from(["a", "b", "c"])
TOPICS = st.builds(
    TopicPicture,
    topic_id=NAMES,
    partitions=st.integers(1, 3),
    replication_factor=st.integers(1, 2),
    settings=st.dictionaries(st.sampled_from(["retention.ms", "cleanup.policy"]), NAMES),
)
ACLS = st.builds(
    AclBinding,
    resource_type=st.sampled_from(["TOPIC", "GROUP"]),
    resource_name=NAMES,
    pattern_type=st.just("LITERAL"),
    principal=st.just("User:x"),
    host=st.just("*"),
    operation=st.sampled_from(["READ", "WRITE"]),
    permission=st.sampled_from(["ALLOW", "DENY"]),
)
ENTITIES = st.one_of(
    st.tuples(st.tuples(st.just("user"), st.none() | NAMES)),
    st.tuples(st.tuples(st.just("client-id"), st.none() | NAMES), st.tuples(st.just("user"), st.none() | NAMES)),
)
PICTURES = st.builds(
    ClusterPicture,
    topics=st.dictionaries(NAMES, TOPICS),
    groups=st.dictionaries(NAMES, st.dictionaries(st.tuples(NAMES, st.integers(0, 2)), st.integers(0, 5))),
    acls=st.frozensets(ACLS),
    quotas=st.dictionaries(ENTITIES, st.dictionaries(NAMES, st.floats(0, 5), min_size=1)),
    users=st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(1, 3), min_size=1)),
)


def _facts(picture: ClusterPicture) -> dict[Section, dict[Any, Any]]:
    return {
        section: {subject: dict(parts) for subject, parts in subjects(picture, section).items()} for section in SECTIONS
    }


def _apply(facts: dict[Section, dict[Any, Any]], differences: Iterable[Difference]) -> dict[Section, dict[Any, Any]]:
    for one in differences:
        own = facts[one.section]
        values, key = (own, one.subject) if one.part == WHOLE else (own[one.subject], one.part)
        if one.after is None:
            del values[key]
        else:
            values[key] = one.after
    return facts


@given(PICTURES)
def test_a_picture_does_not_differ_from_itself(picture: ClusterPicture) -> None:
    assert compare(picture, picture).is_equal


@given(PICTURES, PICTURES)
def test_the_differences_turn_the_first_picture_into_the_second(before: ClusterPicture, after: ClusterPicture) -> None:
    found = compare(before, after)
    assert _facts(after) == _apply(_facts(before), found.differences)
    assert (_facts(before) == _facts(after)) == found.is_equal


@given(PICTURES, PICTURES)
def test_the_other_direction_has_the_same_differences_with_sides_exchanged(
    before: ClusterPicture, after: ClusterPicture
) -> None:
    back = [replace(one, before=one.after, after=one.before) for one in compare(after, before).differences]
    assert list(compare(before, after).differences) == back
