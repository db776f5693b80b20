"""The lifecycle rules of a bucket in memory, which a test can disturb."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tasks.model.errors import OutcomeUnknownError, RefusedError
from tasks.store.bucket_rules import BucketRule, BucketState


class MadeBucket:
    """Keeps the promises of `BucketRules`. `stores` is what becomes of rules when they are written. `writes` counts
    writes. `loses_responses`: the next write is carried out, and its response is lost."""

    def __init__(self, *rules: BucketRule, root: str = "team/", has_versions: bool = False) -> None:
        self.root = root
        self.state = BucketState(rules=rules, has_versions=has_versions, default_lock=None)
        self.stores: Callable[[BucketRule], BucketRule | None] = lambda rule: rule
        self.writes = 0
        self.loses_responses = 0

    def read(self) -> BucketState:
        return self.state

    def replace(self, before: BucketState, rules: Sequence[BucketRule]) -> None:
        if before != self.state:
            raise RefusedError("changed meanwhile")
        self.writes += 1
        stored = [self.stores(rule) for rule in rules]
        self.state = replace(self.state, rules=tuple(rule for rule in stored if rule is not None))
        if self.loses_responses:
            self.loses_responses -= 1
            raise OutcomeUnknownError("lost")
