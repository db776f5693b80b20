"""Shrinkage: what a point contains less than the newest point before it. Documents of log entries and set states."""

from __future__ import annotations

from tasks.repository.document import Document

_NOTABLE_SHARE = 0.5


class ShrinkageCounts(Document):
    """How much less a point contains than `point`, the newest point before it.

    `gone`, `created_again`, `not_selected` and `ended_earlier` are numbers of topics, see `Shrinkage`. `records_before`
    and `records` are the restorable records of the older point and of this one.
    """

    point: int
    gone: int = 0
    created_again: int = 0
    not_selected: int = 0
    ended_earlier: int = 0
    records_before: int
    records: int

    @property
    def is_notable(self) -> bool:
        """Whether retention alone does not explain it: topics are missing, or less than half of the records are left.

        A topic with retention has fewer records at one point than at the last one every day, and nobody has to act.
        """
        topics = self.gone or self.created_again or self.not_selected or self.ended_earlier
        return bool(topics) or self.records < self.records_before * _NOTABLE_SHARE

    def text(self, set_name: str) -> str:
        """The counts in one line: `4 topics of fc@1 are gone, 1 was created again; 300 → 1 records`."""
        clauses = [
            _clause(count, singular, plural)
            for count, singular, plural in (
                (self.gone, "is gone", "are gone"),
                (self.created_again, "was created again", "were created again"),
                (self.not_selected, "is not selected", "are not selected"),
                (self.ended_earlier, "ends earlier", "end earlier"),
            )
            if count
        ]
        older = f"{set_name}@{self.point}"
        records = f"{self.records_before:,} → {self.records:,} records" if self.records < self.records_before else ""
        if not clauses:
            return f"fewer records than {older}: {records}"
        count, rest = clauses[0].split(" ", 1)
        noun = "topic" if count == "1" else "topics"
        topics = ", ".join((f"{count} {noun} of {older} {rest}", *clauses[1:]))
        return "; ".join(part for part in (topics, records) if part)


class Shrinkage(Document):
    """What a point contains less than `point`, the newest point before it. The members are names of topics.

    `gone`: the run selected them and the cluster did not list them. `created_again`: they have another topic id.
    `not_selected`: the run did not select them. `ended_earlier`: a partition ended at a smaller offset, or is missing.
    """

    point: int
    gone: tuple[str, ...] = ()
    created_again: tuple[str, ...] = ()
    not_selected: tuple[str, ...] = ()
    ended_earlier: tuple[str, ...] = ()
    records_before: int
    records: int

    @property
    def counts(self) -> ShrinkageCounts:
        """The same without names, for a document that has one for each point."""
        return ShrinkageCounts(
            point=self.point,
            gone=len(self.gone),
            created_again=len(self.created_again),
            not_selected=len(self.not_selected),
            ended_earlier=len(self.ended_earlier),
            records_before=self.records_before,
            records=self.records,
        )


def _clause(count: int, singular: str, plural: str) -> str:
    return f"{count:,} {singular if count == 1 else plural}"
