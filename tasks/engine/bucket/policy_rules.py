"""Makes the lifecycle rules of a backup set from its retention policy. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.engine.options import DAY_MS, RetentionPolicy, duration_ms
from tasks.repository.names import data_prefix
from tasks.store.bucket_rules import BucketRule, Transition

UPLOAD_DAYS = 7
"""The age at which an upload in parts is ended. This program writes each object with one request, so only programs that
copy a repository leave such uploads."""


def own_name(set_name: str) -> str:
    """The beginning of the names of all rules of a set. No name of another set begins with it, because a set's name
    contains no slash."""
    return f"kafka-backup/{set_name}/"


def old_version_days(policy: RetentionPolicy) -> int:
    """The days that an older version stays: the grace and `minimum_age` together, rounded up, at least one.

    A deleted object can so be brought back for as long as its point could have been, and longer than `minimum_age` that
    the policy promises for the youngest data.
    """
    total_ms = duration_ms(policy.grace) + (duration_ms(policy.minimum_age) if policy.minimum_age else 0)
    return max(1, -(-total_ms // DAY_MS))


def policy_rules(
    policy: RetentionPolicy, set_name: str, *, root: str, has_versions: bool, with_uploads: bool = True
) -> tuple[BucketRule, ...]:
    """The rules that the bucket of a set should have: transitions for the tiers, the end of incomplete uploads unless
    `with_uploads` is False, and in a bucket with versions the deletion of older versions. None of them deletes current
    objects, and all act only on the data of the set."""

    def rules() -> Iterator[BucketRule]:
        name, prefix = own_name(set_name), f"{root}{data_prefix(set_name)}"
        if policy.tiers:
            moves = tuple(Transition(after_days=tier.days, storage_class=tier.storage_class) for tier in policy.tiers)
            yield BucketRule(name=f"{name}tiers", prefix=prefix, transitions=moves)
        if with_uploads:
            yield BucketRule(name=f"{name}uploads", prefix=prefix, upload_days=UPLOAD_DAYS)
        if has_versions:
            yield BucketRule(name=f"{name}versions", prefix=prefix, old_version_days=old_version_days(policy))

    return tuple(rules())
