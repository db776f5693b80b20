"""The id of a prune's plan: when it was made, and what it takes away. With it the same plan can be made again later,
although the set has new points by then. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from tasks.model.errors import ConfigError, RefusedError

_ID = re.compile(r"([0-9]{1,15})-([0-9]{1,15})-([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class PlanMoment:
    """When a plan is made: after entry `seq` of the set's log, at `now_ms` (Unix milliseconds)."""

    seq: int
    now_ms: int

    def not_after(self, now: PlanMoment) -> PlanMoment:
        """This moment, with the earlier of the two times: the clock with which a plan was made can be ahead of the one
        that is used now. Raises `RefusedError` if the log did not have its entry yet."""
        if self.seq > now.seq:
            raise RefusedError(
                f"The plan was made after entry {self.seq}, and the log of this set ends at entry {now.seq}: it is the "
                "plan of another set. Make a new one with `kafka-backup prune`."
            )
        return PlanMoment(self.seq, min(self.now_ms, now.now_ms))


@dataclass(frozen=True, slots=True)
class PlanId:
    """A moment, and the SHA-256 of what the plan of this moment takes away. As text `17-1764523380000-3f7a…`."""

    moment: PlanMoment
    sha256: str

    def __str__(self) -> str:
        return f"{self.moment.seq}-{self.moment.now_ms}-{self.sha256}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id that a text is. Raises `ConfigError` for another text."""
        found = _ID.fullmatch(text)
        if found is None:
            raise ConfigError(f"{text!r} is not the id of a plan. `kafka-backup prune` prints the id.")
        return cls(PlanMoment(int(found[1]), int(found[2])), found[3])
