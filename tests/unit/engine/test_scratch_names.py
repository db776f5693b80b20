"""Scratch names: a drill's topics and groups are recognized by their names, and no backup selects them."""

from __future__ import annotations

import pytest

from tasks.engine.options import TopicSelection
from tasks.engine.scratch_names import is_scratch, scratch_name
from tasks.engine.topic_selection import is_selected
from tasks.repository.names import new_run_id

DRILL = new_run_id(1_764_000_000_000)


@pytest.mark.parametrize("prefix", ["", "team-a.", "x" * 100])
@pytest.mark.parametrize("name", ["orders", "a.b_c-d", "y" * 249])
def test_a_scratch_name_is_recognized_fits_and_is_never_backed_up(prefix: str, name: str) -> None:
    made = scratch_name(prefix, DRILL, name)

    assert made.startswith(prefix)
    assert len(made) <= 249
    assert is_scratch(made)
    assert not is_selected(made, TopicSelection())
    assert not is_selected(made, TopicSelection(include=(made,)))


def test_long_names_that_begin_alike_get_different_scratch_names() -> None:
    assert scratch_name("", DRILL, "y" * 248 + "1") != scratch_name("", DRILL, "y" * 248 + "2")


@pytest.mark.parametrize("name", ["orders", "kafka-backup-drill-orders", "kafka-backup-drill-20261130-orders"])
def test_other_names_are_no_scratch_names(name: str) -> None:
    assert not is_scratch(name)
    assert is_selected(name, TopicSelection())
