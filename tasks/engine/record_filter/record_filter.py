"""Decides which records of a source partition a restore writes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from tasks.batches.record_slices import RecordSlice
from tasks.engine.record_filter.conditions import (
    Condition,
    Extent,
    TimeCondition,
    all_of,
    any_of,
    frame_extent,
)
from tasks.engine.record_filter.conditions import Kept as Kept
from tasks.repository.lines import Frame, IndexLine

UNTIL: Final = "until"
WINDOW: Final = "time window"
NOT_SELECTED: Final = "no select rule"
"""The labels of what leaves records out, beside those of the rules to exclude."""


class LabelledRule(NamedTuple):
    """A rule with its label in reports. A record matches it if it fulfils all conditions."""

    label: str
    conditions: tuple[Condition, ...]

    def shown(self, extent: Extent) -> Kept:
        """How many records of the extent match, as far as the extent shows it."""
        return all_of(one.shown(extent) for one in self.conditions)

    def matches(self, record: RecordSlice, producer_id: int) -> bool:
        """Whether a record that this producer wrote matches."""
        return all(one.matches(record, producer_id) for one in self.conditions)


class Verdict(NamedTuple):
    """Whether a record is kept. `label` is what leaves it out, or the rule that selects it; None if no rule concerns
    it."""

    is_kept: bool
    label: str | None


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """The rules for the records of one source partition. Without rules all restorable records in the range of a line
    are kept.

    `until`: records at this offset and later are left out. A record has to be in the `window`, to match one of `select`
    unless that is None, and to match none of `exclude`. An empty `select` keeps nothing.
    """

    until: int | None = None
    window: TimeCondition | None = None
    select: tuple[LabelledRule, ...] | None = None
    exclude: tuple[LabelledRule, ...] = ()

    @property
    def has_rules(self) -> bool:
        """Whether a record can be left out."""
        return self != KEEPS_ALL

    def kept(self, line: IndexLine, frame: Frame) -> Kept:
        """How many records of the frame are kept, as far as the index shows it."""
        if not self.has_rules:
            return Kept.SOME if line.is_cut(frame) else Kept.ALL
        if frame.restorable == 0:
            return Kept.NONE
        found = self.shown(frame_extent(line, frame))
        return Kept.SOME if found is Kept.ALL and line.is_cut(frame) else found

    def shown(self, extent: Extent) -> Kept:
        """How many records of the extent are kept, as far as the extent shows it."""
        return all_of(found for _, found in self._parts(extent))

    def reason(self, extent: Extent) -> str | None:
        """The label of what leaves out all records of the extent. None if the extent does not show it."""
        return next((label for label, found in self._parts(extent) if found is Kept.NONE), None)

    def selected_by(self, extent: Extent) -> str | None:
        """The label of the rule that selects all records of the extent, None if there is none."""
        return next((rule.label for rule in self.select or () if rule.shown(extent) is Kept.ALL), None)

    def judge(self, record: RecordSlice, producer_id: int) -> Verdict:
        """Whether a record that this producer wrote is kept."""
        if self.until is not None and record.offset >= self.until:
            return Verdict(False, UNTIL)
        if self.window is not None and not self.window.matches(record, producer_id):
            return Verdict(False, WINDOW)
        selected = None
        if self.select is not None:
            selected = next((rule.label for rule in self.select if rule.matches(record, producer_id)), None)
            if selected is None:
                return Verdict(False, NOT_SELECTED)
        for rule in self.exclude:
            if rule.matches(record, producer_id):
                return Verdict(False, rule.label)
        return Verdict(True, selected)

    def below(self, offset: int) -> RecordFilter:
        """The same filter, which also leaves out the records at `offset` and later."""
        return replace(self, until=offset if self.until is None else min(self.until, offset))

    def without_until(self) -> RecordFilter:
        """The same filter without `until`."""
        return replace(self, until=None)

    def _parts(self, extent: Extent) -> Iterator[tuple[str, Kept]]:
        """What each part of the filter keeps of the extent. Exclusion is the last."""
        if self.until is not None and extent.next > self.until:
            yield UNTIL, Kept.NONE if extent.first >= self.until else Kept.SOME
        if self.window is not None:
            yield WINDOW, self.window.shown(extent)
        if self.select is not None:
            yield NOT_SELECTED, any_of(rule.shown(extent) for rule in self.select)
        for rule in self.exclude:
            yield rule.label, rule.shown(extent).inverse


KEEPS_ALL: Final = RecordFilter()
