"""Shrinkage: the topics and records that a point has lost compared to the point before it. Log entries and set states
contain these documents. Decides which loss is notable, and makes its sentence."""

from __future__ import annotations

from tasks.repository.document import Document

_NOTABLE_SHARE = 0.5


class ShrinkageCounts(Document):
    """The losses of a point in numbers, compared to the newest point before it, whose seq is `point`.

    `gone`, `created_again`, `not_selected` and `ended_earlier` are numbers of topics: see `Shrinkage`. `records_before`
    and `records` are the numbers of restorable records of the older point and of this point.
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
        """Whether an operator should look at the losses: topics are affected, or less than half of the records are
        left.

        Smaller losses of records are normal, because Kafka deletes old records of topics with retention.
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
    """The losses of a point, compared to the newest point before it, whose seq is `point`. Topics are given by their
    names.

    `gone`: topics that the run selected and the cluster did not list. `created_again`: topics with another topic id.
    `not_selected`: topics that the run did not select. `ended_earlier`: topics with a partition that ends at a smaller
    offset than before, or is missing. `records_before` and `records` are the numbers of restorable records of the older
    point and of this point.
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
        """The same losses in numbers, without names, for documents that contain all points."""
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
