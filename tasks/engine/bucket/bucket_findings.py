"""Finds rules and settings of a bucket that endanger a backup set, or that cost more and more. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.repository.names import data_prefix, read_prefixes
from tasks.store.bucket_rules import BucketRule, BucketState

ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""The storage classes of S3 whose objects cannot be read before the store brought them back."""


def bucket_findings(state: BucketState, set_name: str, *, root: str) -> list[str]:
    """A sentence for each rule or setting that has to be corrected."""
    findings = [finding for rule in state.rules if rule.is_enabled for finding in _rule_findings(rule, set_name, root)]
    if state.default_lock is not None:
        findings.append(
            f"The bucket locks every new object ({state.default_lock}). Leases, heads and pins are objects that are "
            "overwritten and deleted all the time, and each of their versions would be locked. Remove the default "
            "retention of the bucket."
        )
    if state.has_versions and not _expires_versions(state.rules, f"{root}{data_prefix(set_name)}"):
        findings.append(
            "The bucket keeps older versions, and no rule deletes them: data that a prune deletes is paid for ever. "
            "`kafka-backup lifecycle apply` writes such a rule for the data of the set."
        )
    return findings


def _rule_findings(rule: BucketRule, set_name: str, root: str) -> Iterator[str]:
    data, needed = f"{root}{data_prefix(set_name)}", [f"{root}{prefix}" for prefix in read_prefixes(set_name)]
    expired = [prefix for prefix in (data, *needed) if _overlap(rule.prefix, prefix)]
    if rule.expires is not None and expired:
        which = " with certain tags or sizes" if rule.is_narrowed else ""
        yield (
            f"The rule {rule.name!r} deletes objects{which} {rule.expires} under {_place(rule)}, also those that "
            f"restore points need ({expired[0]}…). Delete the rule, or limit it to another prefix. "
            "`kafka-backup prune` deletes what no point needs."
        )
    archived = [prefix for prefix in needed if _overlap(rule.prefix, prefix)]
    classes = [one.storage_class for one in rule.transitions if one.storage_class in ARCHIVES]
    if classes and archived:
        yield (
            f"The rule {rule.name!r} moves objects under {_place(rule)} to {classes[0]}, also those that every command "
            f"reads ({archived[0]}…). Limit the rule to {data}."
        )


def _expires_versions(rules: Sequence[BucketRule], prefix: str) -> bool:
    """Whether a rule deletes all older versions under the prefix."""
    return any(
        rule.is_enabled
        and not rule.is_narrowed
        and rule.old_version_days is not None
        and prefix.startswith(rule.prefix)
        for rule in rules
    )


def _overlap(one: str, other: str) -> bool:
    """Whether a key can begin with both prefixes."""
    return one.startswith(other) or other.startswith(one)


def _place(rule: BucketRule) -> str:
    return repr(rule.prefix) if rule.prefix else "the whole bucket"
