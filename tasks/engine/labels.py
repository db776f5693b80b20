"""Changes the labels of a restore point that exists. A backup gives its own point labels when it makes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tasks.model.errors import ConfigError, NotFoundError
from tasks.model.labels import check_label_key, check_labels
from tasks.model.quoting import quoted
from tasks.repository.entries import AnyEntry, LabelEntry
from tasks.repository.repository import Repository
from tasks.repository.set_state import PointSummary, SetState


def change_labels(
    repository: Repository, set_name: str, seq: int, labels: Mapping[str, str], removed: Collection[str]
) -> dict[str, str]:
    """Add or replace labels of a live or expired point, and remove those with the keys in `removed`. Returns the labels
    that the point has then. If it has them already, nothing is written.

    Raises `NotFoundError` if there is no such point, or if it has no label with a key in `removed`, and `ConfigError`
    if the point cannot have these labels.
    """
    _check_change(labels, removed)

    def changed(state: SetState) -> PointSummary:
        point = state.summary(seq)
        if point is None:
            raise NotFoundError(f"{set_name}@{seq} is not a restore point; `kafka-backup list` shows the points.")
        for key in removed:
            if key not in point.labels:
                raise NotFoundError(f"{set_name}@{seq} has no label {quoted(key)}.")
        after = point.with_labels(labels, removed)
        check_labels(after.labels)
        return after

    state = repository.state(set_name)
    after = changed(state)
    if after == state.summary(seq):
        return after.labels  # the labels are there, and an entry would change nothing

    def build(state: SetState) -> AnyEntry:
        nonlocal after
        after = changed(state)
        return LabelEntry(
            **repository.next_change(set_name, state), point=seq, labels=dict(labels), removed=tuple(removed)
        )

    repository.log(set_name).append(build)
    return after.labels


def _check_change(labels: Mapping[str, str], removed: Collection[str]) -> None:
    if not labels and not removed:
        raise ConfigError("Name the labels: KEY=VALUE to add or change one, --remove KEY to remove one.")
    for key in removed:
        check_label_key(key)
        if key in labels:
            raise ConfigError(f"The label {quoted(key)} cannot be set and removed at once.")
    check_labels(labels)
