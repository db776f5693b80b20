"""The difference between the rules that a bucket has and those that a set should have. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.engine.bucket.policy_rules import own_name
from tasks.store.bucket_rules import BucketRule


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChanges:
    """What has to change. `changed` are (the rule in the bucket, the rule that replaces it). `foreign` are the rules
    that are not of this set; they stay as they are."""

    added: tuple[BucketRule, ...]
    changed: tuple[tuple[BucketRule, BucketRule], ...]
    removed: tuple[BucketRule, ...]
    unchanged: tuple[BucketRule, ...]
    foreign: tuple[BucketRule, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the bucket has the wanted rules already."""
        return not (self.added or self.changed or self.removed)

    @property
    def result(self) -> tuple[BucketRule, ...]:
        """All rules that the bucket has after the change: the foreign ones first, in their order."""
        return (*self.foreign, *self.unchanged, *(new for _, new in self.changed), *self.added)


def rule_changes(present: Sequence[BucketRule], wanted: Sequence[BucketRule], set_name: str) -> RuleChanges:
    """Compare the rules of a bucket with those that the set should have."""
    own = [rule for rule in present if rule.name.startswith(own_name(set_name))]
    by_name = {rule.name: rule for rule in own}
    named = {rule.name for rule in wanted}
    return RuleChanges(
        added=tuple(rule for rule in wanted if rule.name not in by_name),
        changed=tuple(
            (by_name[rule.name], rule) for rule in wanted if rule.name in by_name and by_name[rule.name] != rule
        ),
        removed=tuple(rule for rule in own if rule.name not in named),
        unchanged=tuple(by_name[rule.name] for rule in wanted if by_name.get(rule.name) == rule),
        foreign=tuple(rule for rule in present if not rule.name.startswith(own_name(set_name))),
    )


def difference(written: Sequence[BucketRule], read: Sequence[BucketRule]) -> list[str]:
    """How the rules that were read back differ from those that were written: a sentence for each rule. Foreign rules
    have the same bytes, because they were written as they had been read."""
    found = {rule.name: rule for rule in read}
    sentences = []
    for rule in written:
        stored = found.pop(rule.name, None)
        if stored is None:
            sentences.append(f"the store dropped the rule {rule.name!r}")
        elif stored != rule or (rule.stored and stored.stored != rule.stored):
            sentences.append(f"the store changed the rule {rule.name!r}")
    return [*sentences, *(f"there is another rule {name!r}" for name in found)]
