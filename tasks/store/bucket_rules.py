"""The port of a bucket's lifecycle rules, which a store can have, and the values that it reads and writes.

A rule acts on the objects whose keys begin with its prefix. The prefixes here are those of the bucket, so they contain
the prefix of the repository. Only what this program decides by is a member of `BucketRule`. Everything else of a rule
that another program wrote is in `stored`, and is written back unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """Moves an object to a storage class. `after` is the number of days since it was written; None if the rule has
    another condition, for example a date."""

    after_days: int | None
    storage_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRule:
    """A lifecycle rule. `name` is unique in its bucket. A store whose rules have no names makes one from the content of
    the rule.

    `is_narrowed`: it acts only on objects with certain tags or sizes. `expires` is the condition under which it deletes
    current objects, as text (`after 30 days`). `old_version_days`: it deletes a version so many days after the version
    was replaced. `upload_days`: it ends uploads that were begun so many days ago. `others` are the names of everything
    else in the rule. `stored` are the bytes of the rule as the store returned it; empty for a rule that was not read.
    Two rules are equal if they do the same, whatever their bytes are.
    """

    name: str
    prefix: str
    is_enabled: bool = True
    is_narrowed: bool = False
    transitions: tuple[Transition, ...] = ()
    expires: str | None = None
    old_version_days: int | None = None
    upload_days: int | None = None
    others: tuple[str, ...] = ()
    stored: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketState:
    """The rules of a bucket, and what decides about their effects. `has_versions`: replaced and deleted objects remain
    as older versions. `default_lock` is the retention that every new object gets, as text (`GOVERNANCE for 1 day`);
    None if there is none. `document` is the configuration as the store returned it, for `replace`; empty if the bucket
    has no rules."""

    rules: tuple[BucketRule, ...]
    has_versions: bool
    default_lock: str | None
    document: bytes = field(default=b"", compare=False, repr=False)
    attributes: tuple[tuple[str, str], ...] = ()
    """Settings of the whole configuration that a write has to repeat, because a write without them resets them."""


class BucketRules(Protocol):
    """The lifecycle rules of the bucket that contains a store. Every method can raise the errors of a store:
    `AccessError` names the missing permission."""

    @property
    def root(self) -> str:
        """The beginning of all keys of the store in its bucket: empty, or a folder that ends with a slash."""
        ...

    def read(self) -> BucketState:
        """The rules and settings of the bucket. A bucket without rules is not an error."""
        ...

    def replace(self, before: BucketState, rules: Sequence[BucketRule]) -> None:
        """Give the bucket exactly these rules. A rule that was read is written with the bytes in `stored`.

        `before` is the state that was read. Raises `RefusedError` and writes nothing if the rules of the bucket are
        others by now. A store without conditional writes compares them directly before the write, so a change at the
        same moment can be overwritten. Raises `StoreError` if the store refuses a rule. May be called again with the
        same arguments after any error: it then can raise `RefusedError` if the first call was carried out.
        """
        ...
