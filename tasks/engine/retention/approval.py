"""Decides whether the plan of a prune needs somebody's approval. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.engine.retention.prune_plan import PrunePlan
from tasks.model.counting import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalLimits:
    """How much a plan can take away without an approval: `points` is a number of expiring points, `percent` a share of
    the live points that expire, and of the data that leaves because of `maximum_age`. None means no limit of this kind,
    and 0 means that every plan by which a point expires or data leaves needs an approval.

    Points that are removed are not counted, because they expired by an earlier plan.
    """

    points: int | None
    percent: int | None

    def exceeded_by(self, plan: PrunePlan) -> str | None:
        """The limit that the plan exceeds, as a clause, or None."""
        expiring, live = len(plan.expire), len(plan.expire) + len(plan.kept)
        share = f"{expiring:,} of {live:,} points would expire"
        if self.points is not None and expiring > self.points:
            return f"{share}, which is more than {counted(self.points, 'point')}"
        if self.percent is not None and expiring * 100 > self.percent * live:
            return f"{share}, which is more than {self.percent} %"
        leaving = sum(plan.old.objects.values()) if plan.old is not None else 0
        if self.percent is not None and leaving * 100 > self.percent * plan.data_bytes:
            taken = -(-leaving * 100 // plan.data_bytes)
            return f"maximum_age would take {taken} % of the data, which is more than {self.percent} %"
        return None
