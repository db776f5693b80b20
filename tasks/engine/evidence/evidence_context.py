"""What a report contains besides the result of the drill: what the configuration states, the machine, the store, and
the earlier reports. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.engine.evidence.report import Gap, Machine, PastDrill, PreviousReport, ReadObject, Unknown

NOT_CONFIGURED = Unknown(unknown="not configured")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredEvidence:
    """What the configuration states about the drill. None means that it is not configured.

    `drill_every_ms` is how often a drill has to run. `controls` maps the id of a control to the groups or members of
    the report that serve it. `kept` says how long reports are kept. Corrective action, its owner, its due date and the
    test that repeats it are those of an earlier failure.
    """

    organisation: str | None = None
    environment: str | None = None
    business_function: str | None = None
    criticality: str | None = None
    policy_id: str | None = None
    policy_version: str | None = None
    drill_every_ms: int | None = None
    requested_by: str | None = None
    approved_by: str | None = None
    reviewed_by: str | None = None
    ticket: str | None = None
    account: str | None = None
    network: str | None = None
    identity: str | None = None
    region: str | None = None
    copy_used: str | None = None
    kept: str | None = None
    corrective_action: str | None = None
    action_owner: str | None = None
    action_due: str | None = None
    repeating_test: str | None = None
    controls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceContext:
    """Everything besides the result. None means that the caller does not know it; the report then says why.

    `lock_mode` and `lock_until_ms` are those of the report's objects in the store; the lock ends no earlier.
    `objects_read` are the objects of the repository that the drill read. `log_chain` says in words how the log of the
    set was verified. `outside_count` says in words what a count outside of the backup gave.
    """

    configured: ConfiguredEvidence = field(default_factory=ConfiguredEvidence)
    tool: str
    build_digest: str | None = None
    machine: Machine
    store: str | None = None
    lock_mode: str | None = None
    lock_until_ms: int | None = None
    gaps: tuple[Gap, ...] | None = None
    objects_read: tuple[ReadObject, ...] | Unknown | None = None
    log_chain: str | None = None
    outside_count: str | None = None
    previous: PreviousReport | None = None
    last_drills: tuple[PastDrill, ...] = ()
    tested_before: frozenset[str] = frozenset()
    key_id: str | None = None
