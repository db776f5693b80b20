"""The report of a restore drill: one document with a group for each kind of question that an auditor asks.

Every member is always there. A member that could not be established is `{"unknown": "<the reason>"}`. Times are Unix
milliseconds (`_ms`), durations are milliseconds (`_ms`), sizes are bytes. There are no fractions, and names are values
and never members, so that the canonical JSON of a report has only one form. `docs/evidence.schema.json` is made from
these models.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict

from tasks.repository.document import Document

SCHEMA_VERSION: Final = "1.0"
"""The version of the report's schema. The number before the dot changes if a member is removed or changes its
meaning."""


def _encodable(text: str) -> str:
    """Escapes for the half characters (surrogates) that UTF-8 cannot represent: names and output can contain them."""
    return text.encode(errors="backslashreplace").decode()


Plain = Annotated[str, AfterValidator(_encodable)]
"""Any text. Half characters in it become escapes."""


class Unknown(Document):
    """Stands for a value that could not be established. `unknown` is the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unknown: Plain


Text = Plain | Unknown
Number = int | Unknown
Flag = bool | Unknown


class PreviousReport(Document):
    """The report of the drill before this one, in the same set. `sha256` is that of its stored bytes."""

    drill: Plain
    sha256: Plain


class Identity(Document):
    """Which report this is, which program made it, and for whom. `build_digest` is the SHA-256 over the program's
    source files, see docs/EVIDENCE.md. `drill_every_ms` is how often the policy wants a drill."""

    report_id: Plain
    schema_version: Plain
    tool: Plain
    build_digest: Text
    organisation: Text
    environment: Text
    business_function: Text
    criticality: Text
    policy_id: Text
    policy_version: Text
    drill_every_ms: Number
    previous_report: PreviousReport | Unknown


class TestedTopic(Document):
    """A topic whose records were restored and compared. `topic_id` is its incarnation in the source cluster."""

    topic: Plain
    topic_id: Text
    partitions: int


class ExcludedTopic(Document):
    """A topic of the point that the drill left out, with the reason."""

    topic: Plain
    reason: Plain


class Coverage(Document):
    """How many of the topics of the point were tested. `tested_by_last_drills` counts those that this drill or one of
    the `last_drills` drills before it tested."""

    protected_topics: int
    tested_topics: int
    last_drills: int
    tested_by_last_drills: int


class Tested(Document):
    """What was tested: the point, how it was chosen, and the part of it that the drill restored."""

    repository_id: Plain
    set: Plain
    point: int
    point_ms: int
    choice: Plain
    age_of_point_ms: int
    topics: tuple[TestedTopic, ...]
    partitions: int
    records: int
    log_bytes: int
    excluded: tuple[ExcludedTopic, ...]
    coverage: Coverage


class Segregation(Document):
    """How far the system of the drill is apart from production. `is_other_cluster` was checked: the ids of the clusters
    differ. The others are statements of the configuration."""

    is_other_cluster: Flag
    account: Text
    network: Text
    identity: Text


class Where(Document):
    """The clusters, the store, and the copy of the backup that was read."""

    source_cluster_id: Plain
    target_cluster_id: Text
    scratch_prefix: Plain
    segregation: Segregation
    store: Text
    region: Text
    copy_used: Text
    lock_mode: Text
    lock_until_ms: Number
    recipient_key_ids: tuple[Plain, ...] | Unknown


class Machine(Document):
    """The process that ran the drill."""

    host: Text
    user: Text
    process_id: Number


class Who(Document):
    """Who asked for the drill, ran it, approved it and looked at its result. `duties_are_separate` is true if those who
    requested and those who approved or reviewed it are known and have different names."""

    requested_by: Text
    executed_by: Machine
    approved_by: Text
    reviewed_by: Text
    duties_are_separate: Flag
    ticket: Text


class When(Document):
    """When each step was done. `clock` names the source of the times."""

    requested_ms: int
    started_ms: int
    first_record_ms: Number
    data_complete_ms: Number
    groups_ready_ms: Number
    verified_ms: Number
    cleaned_up_ms: Number
    clock: Plain


class Objective(Document):
    """A target, what was achieved, and the difference: `margin_ms` is negative if the target was missed."""

    target_ms: Number
    achieved_ms: Number
    margin_ms: Number
    verdict: Literal["met", "missed"] | Unknown


class PastDrill(Document):
    """A drill before this one, and the SHA-256 of its report. Of a report that cannot be read only the SHA-256 is
    known."""

    drill: Plain
    started_ms: Number
    verdict: Text
    rto_ms: Number
    rpo_ms: Number
    sha256: Plain


class ObjectivesPart(Document):
    """Recovery time and recovery point, and those of the last drills from the oldest to the newest, without this
    one."""

    rto: Objective
    rpo: Objective
    rpo_by_canary_ms: Number
    last_drills: tuple[PastDrill, ...]


class ComparedPartition(Document):
    """One scratch partition beside the backup. The digests are SHA-256 over key, value, headers and timestamp of all
    compared records: `expected_digest` of those that were read from the backup, `found_digest` of those that a second
    reader has read from the scratch partition. `problem` is empty if there was no difference."""

    topic: Plain
    topic_id: Plain
    partition: int
    scratch_topic: Plain
    level: Plain
    expected_records: int
    found_records: int
    compared_records: int
    expected_digest: Text
    found_digest: Text
    problem: Plain
    duration_ms: int


class ComparedSettings(Document):
    """The settings of one scratch topic: how many were compared, and a sentence for each that differs."""

    topic: Plain
    scratch_topic: Plain
    compared: int
    problems: tuple[Plain, ...]


class ComparedGroup(Document):
    """The positions of one group, written to a scratch group and read back, and a sentence for each that differs."""

    group: Plain
    scratch_group: Plain
    positions: int
    problems: tuple[Plain, ...]


class Check(Document):
    """One check: what it looked at, what it expected and what it observed."""

    name: Plain
    input: Plain
    expected: Plain
    observed: Plain
    verdict: Literal["passed", "failed"]
    duration_ms: Number


class Gap(Document):
    """Offsets of a partition that the point does not contain, with the reason. Without offsets the whole partition is
    concerned."""

    topic: Plain
    partition: int
    first: Number
    next: Number
    reason: Plain


class ReadObject(Document):
    """An object of the repository that the drill read, and its SHA-256. A data object of one partition is read in
    parts: each part is checked by its own checksum, and the SHA-256 is the one that the index of the point has."""

    key: Plain
    sha256: Plain


class Integrity(Document):
    """What was compared with what, and the result. `checks` sums up the comparisons and contains the checks of the
    owner of the data."""

    checks: tuple[Check, ...]
    partitions: tuple[ComparedPartition, ...]
    settings: tuple[ComparedSettings, ...]
    groups: tuple[ComparedGroup, ...]
    acls: Text
    schemas: Text
    outside_count: Text
    gaps: tuple[Gap, ...] | Unknown
    objects_read: tuple[ReadObject, ...] | Unknown
    log_chain: Text


class ScratchTopic(Document):
    """A scratch topic that was deleted. The topic id proves which topic it was."""

    topic: Plain
    topic_id: Plain


class CleanedUp(Document):
    """What the drill removed of what it made, and a sentence for each thing that it could not remove."""

    topics: tuple[ScratchTopic, ...]
    groups: tuple[Plain, ...]
    problems: tuple[Plain, ...]


class Privacy(Document):
    """Erased persons do not come back with a restore, and the drill leaves no copy of the data."""

    erasure_ledger: Text
    suppressed_records: Number
    erased_stay_erased: Text
    scratch_data: CleanedUp | Unknown


class Finding(Document):
    """Something that a reader of the report has to know. A `failure` makes the drill fail, a `remark` limits what it
    proves."""

    severity: Literal["failure", "remark"]
    text: Plain


class Result(Document):
    """The verdict and its reasons, and what is done about failures."""

    verdict: Literal["passed", "passed with remarks", "failed"]
    findings: tuple[Finding, ...]
    corrective_action: Text
    action_owner: Text
    action_due: Text
    repeating_test: Text


class Control(Document):
    """A control of a rule book, and the groups or members of this report that serve it."""

    control: Plain
    fields: tuple[Plain, ...]


class Proof(Document):
    """How the bytes of this report are protected. `key_id` is the SHA-256 of the public key in DER."""

    canonical_form: Plain
    key_id: Text
    time_stamp: Text
    kept: Text
    how_to_verify: Plain


class DrillReport(Document):
    """The report of one restore drill."""

    identity: Identity
    tested: Tested
    where: Where
    who: Who
    when: When
    objectives: ObjectivesPart
    integrity: Integrity
    privacy: Privacy
    result: Result
    mapping: tuple[Control, ...] | Unknown
    proof: Proof
