"""Decides whether the plan of a prune needs somebody's approval. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.engine.retention.prune_plan import PrunePlan
from tasks.model.counting import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalLimits:
    """How much a plan can let expire without an approval: `points` is a number of points, `percent` a share of the live
    points. None means no limit of this kind, and 0 means that every plan by which a point expires needs an approval.

    Points that are removed are not counted, because they expired by an earlier plan.
    """

    points: int | None
    percent: int | None

    def exceeded_by(self, plan: PrunePlan) -> str | None:
        """The limit that the plan exceeds, as it completes "more than …", or None."""
        expiring = len(plan.expire)
        if self.points is not None and expiring > self.points:
            return counted(self.points, "point")
        if self.percent is not None and expiring * 100 > self.percent * (expiring + len(plan.kept)):
            return f"{self.percent} %"
        return None
