"""Makes the report of a drill from its result and what is known besides. Pure: the same values give the same report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

from tasks.engine.drilling.drill_result import ChosenData, CleanUp, DrillResult, Objectives
from tasks.engine.evidence.evidence_context import NOT_CONFIGURED, EvidenceContext
from tasks.engine.evidence.report import (
    SCHEMA_VERSION,
    Check,
    CleanedUp,
    ComparedGroup,
    ComparedPartition,
    ComparedSettings,
    Control,
    Coverage,
    DrillReport,
    ExcludedTopic,
    Finding,
    Flag,
    Identity,
    Integrity,
    Number,
    Objective,
    ObjectivesPart,
    Privacy,
    Proof,
    Result,
    ScratchTopic,
    Segregation,
    Tested,
    TestedTopic,
    Text,
    Unknown,
    When,
    Where,
    Who,
)
from tasks.model.counting import counted

T = TypeVar("T")

UNSIGNED = "unsigned: no signing key is configured"
NO_LOCK = "the settings of the store ask for no lock of objects; the store can lock objects by a rule of its own"
HISTORY = 12
"""The number of drills in the chart, with this one."""


def build_report(result: DrillResult, context: EvidenceContext) -> DrillReport:
    """The report of a drill."""
    return DrillReport(
        identity=_identity(result, context),
        tested=_tested(result, context),
        where=_where(result, context),
        who=_who(context),
        when=_when(result),
        objectives=_objectives(result.objectives, context),
        integrity=_integrity(result, context),
        privacy=_privacy(result.clean_up),
        result=_result(result, context),
        mapping=tuple(
            Control(control=control, fields=fields) for control, fields in sorted(context.configured.controls.items())
        )
        or NOT_CONFIGURED,
        proof=_proof(context),
    )


def _known(value: T | None, reason: str) -> T | Unknown:
    return Unknown(unknown=reason) if value is None else value


def _configured(value: T | None) -> T | Unknown:
    return NOT_CONFIGURED if value is None else value


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _identity(result: DrillResult, context: EvidenceContext) -> Identity:
    stated = context.configured
    return Identity(
        report_id=result.drill,
        schema_version=SCHEMA_VERSION,
        tool=context.tool,
        build_digest=_known(context.build_digest, "the source files of the program could not be read"),
        organisation=_configured(stated.organisation),
        environment=_configured(stated.environment),
        business_function=_configured(stated.business_function),
        criticality=_configured(stated.criticality),
        policy_id=_configured(stated.policy_id),
        policy_version=_configured(stated.policy_version),
        drill_every_ms=_configured(stated.drill_every_ms),
        previous_report=_known(context.previous, "there is no earlier report of this set"),
    )


def _tested(result: DrillResult, context: EvidenceContext) -> Tested:
    data = result.data
    return Tested(
        repository_id=result.repository_id,
        set=data.set_name,
        point=data.point,
        point_ms=data.point_ms,
        choice=data.choice,
        age_of_point_ms=result.times.started_ms - data.point_ms,
        topics=tuple(_topics(result)),
        partitions=data.partitions,
        records=data.records,
        log_bytes=data.log_bytes,
        excluded=tuple(ExcludedTopic(topic=topic, reason=why) for topic, why in sorted(data.excluded.items())),
        coverage=_coverage(data, context),
    )


def _topics(result: DrillResult) -> Iterator[TestedTopic]:
    ids = {one.source.topic: one.source.topic_id for one in result.partitions}
    counts = Counter(one.source.topic for one in result.partitions)
    for topic in sorted(result.data.topics):
        topic_id = _known(ids.get(topic), "no partition of the topic was compared")
        yield TestedTopic(topic=topic, topic_id=topic_id, partitions=counts[topic])


def _coverage(data: ChosenData, context: EvidenceContext) -> Coverage:
    protected = {*data.topics, *data.excluded}
    return Coverage(
        protected_topics=len(protected),
        tested_topics=len(data.topics),
        last_drills=len(context.last_drills),
        tested_by_last_drills=len(protected & {*data.topics, *context.tested_before}),
    )


def _where(result: DrillResult, context: EvidenceContext) -> Where:
    stated = context.configured
    return Where(
        source_cluster_id=result.source_cluster_id,
        target_cluster_id=_known(result.target_cluster_id, "the drill ended before it had reached the target cluster"),
        scratch_prefix=result.scratch_prefix,
        segregation=Segregation(
            is_other_cluster=_is_other_cluster(result),
            account=_configured(stated.account),
            network=_configured(stated.network),
            identity=_configured(stated.identity),
        ),
        store=_known(context.store, "the caller did not name the store"),
        region=_configured(stated.region),
        copy_used=_configured(stated.copy_used),
        lock_mode=_known(context.lock_mode, NO_LOCK),
        lock_until_ms=_known(context.lock_until_ms, NO_LOCK),
        recipient_key_ids=Unknown(unknown="this version does not encrypt backups"),
    )


def _is_other_cluster(result: DrillResult) -> Flag:
    if result.target_cluster_id is None:
        return Unknown(unknown="the drill ended before it had reached the target cluster")
    return result.target_cluster_id != result.source_cluster_id


def _who(context: EvidenceContext) -> Who:
    stated = context.configured
    return Who(
        requested_by=_configured(stated.requested_by),
        executed_by=context.machine,
        approved_by=_configured(stated.approved_by),
        reviewed_by=_configured(stated.reviewed_by),
        duties_are_separate=_duties_are_separate(context),
        ticket=_configured(stated.ticket),
    )


def _duties_are_separate(context: EvidenceContext) -> Flag:
    stated = context.configured
    controllers = [name for name in (stated.approved_by, stated.reviewed_by) if name is not None]
    if stated.requested_by is None or not controllers:
        return Unknown(unknown="not configured who requested the drill, and who approved or reviewed it")
    return stated.requested_by.casefold() not in [name.casefold() for name in controllers]


def _when(result: DrillResult) -> When:
    times = result.times
    not_reached = "the drill did not reach this step"
    return When(
        requested_ms=times.requested_ms,
        started_ms=times.started_ms,
        first_record_ms=_known(times.first_record_ms, not_reached),
        data_complete_ms=_known(times.data_complete_ms, not_reached),
        groups_ready_ms=_known(times.groups_ready_ms, not_reached),
        verified_ms=_known(times.verified_ms, not_reached),
        cleaned_up_ms=_known(times.cleaned_up_ms, not_reached),
        clock=times.clock,
    )


def _objectives(objectives: Objectives, context: EvidenceContext) -> ObjectivesPart:
    return ObjectivesPart(
        rto=_objective(objectives.rto_target_s, objectives.rto_s, "RTO" in objectives.missed),
        rpo=_objective(objectives.rpo_target_s, objectives.rpo_s, "RPO" in objectives.missed),
        rpo_by_canary_ms=Unknown(unknown="this version has no canary"),
        last_drills=context.last_drills,
    )


def _objective(target_s: float | None, achieved_s: float | None, is_missed: bool) -> Objective:
    not_measured = "the drill ended before this could be measured"
    margin: Number = Unknown(unknown="no target is configured" if target_s is None else not_measured)
    if target_s is not None and achieved_s is not None:
        margin = _ms(target_s) - _ms(achieved_s)
    return Objective(
        target_ms=NOT_CONFIGURED if target_s is None else _ms(target_s),
        achieved_ms=Unknown(unknown=not_measured) if achieved_s is None else _ms(achieved_s),
        margin_ms=margin,
        verdict=Unknown(unknown="no target is configured") if target_s is None else "missed" if is_missed else "met",
    )


def _integrity(result: DrillResult, context: EvidenceContext) -> Integrity:
    no_digest = "the contents of the records were not compared"
    return Integrity(
        checks=tuple(_checks(result)),
        partitions=tuple(
            ComparedPartition(
                topic=one.source.topic,
                topic_id=one.source.topic_id,
                partition=one.source.partition,
                scratch_topic=one.target.topic,
                level=one.level,
                expected_records=one.expected_records,
                found_records=one.found_records,
                compared_records=one.compared_records,
                expected_digest=_known(one.expected_digest, no_digest),
                found_digest=_known(one.found_digest, no_digest),
                problem=one.problem or "",
                duration_ms=_ms(one.seconds),
            )
            for one in result.partitions
        ),
        settings=tuple(
            ComparedSettings(topic=one.topic, scratch_topic=one.target, compared=one.compared, problems=one.problems)
            for one in result.settings
        ),
        groups=tuple(
            ComparedGroup(
                group=one.group, scratch_group=one.scratch_group, positions=one.positions, problems=one.problems
            )
            for one in result.groups
        ),
        acls=Unknown(unknown="a drill does not restore ACLs"),
        schemas=Unknown(unknown="the backup contains no schema registry"),
        outside_count=_outside_count(result, context),
        gaps=_known(context.gaps, "the point could not be read again when the report was made"),
        objects_read=_known(context.objects_read, "the caller did not name the objects"),
        log_chain=_known(context.log_chain, "the drill ended before it had verified the log"),
    )


def _outside_count(result: DrillResult, context: EvidenceContext) -> Text:
    if context.outside_count is not None:
        return context.outside_count
    if result.checks:
        return Unknown(unknown="only the checks of the owner can contain one; see `checks`")
    return Unknown(unknown="no check of the owner is configured")


def _checks(result: DrillResult) -> Iterator[Check]:
    """A check for each kind of comparison that was made, and those of the owner."""
    if result.partitions:
        problems = sum(one.problem is not None for one in result.partitions)
        yield Check(
            name="records",
            input=f"{counted(len(result.partitions), 'scratch partition')}, read by a second reader",
            expected=f"{sum(one.expected_records for one in result.partitions):,} records as in the backup",
            observed=f"{sum(one.found_records for one in result.partitions):,} records, "
            f"{sum(one.compared_records for one in result.partitions):,} compared, "
            f"{counted(problems, 'partition')} with differences",
            verdict="failed" if problems else "passed",
            duration_ms=sum(_ms(one.seconds) for one in result.partitions),
        )
    not_measured = Unknown(unknown="not measured by itself")
    if result.settings:
        problems = sum(len(one.problems) for one in result.settings)
        yield Check(
            name="settings of topics",
            input=counted(len(result.settings), "scratch topic"),
            expected=f"{counted(sum(one.compared for one in result.settings), 'setting')} as in the backup",
            observed=counted(problems, "difference"),
            verdict="failed" if problems else "passed",
            duration_ms=not_measured,
        )
    if result.groups:
        problems = sum(len(one.problems) for one in result.groups)
        yield Check(
            name="positions of consumer groups",
            input=counted(len(result.groups), "scratch group"),
            expected=f"{counted(sum(one.positions for one in result.groups), 'position')} "
            "at the first restored record at or after the committed offset",
            observed=counted(problems, "difference"),
            verdict="failed" if problems else "passed",
            duration_ms=not_measured,
        )
    for one in result.checks:
        yield Check(
            name=one.name,
            input=f"a check of the owner of the data ({one.kind})",
            expected="passed",
            observed=one.output,
            verdict=one.verdict,
            duration_ms=_ms(one.seconds),
        )


def _privacy(clean_up: CleanUp | None) -> Privacy:
    no_ledger = Unknown(unknown="this version has no erasure ledger")
    scratch: CleanedUp | Unknown = Unknown(unknown="nothing was cleaned up")
    if clean_up is not None:
        scratch = CleanedUp(
            topics=tuple(ScratchTopic(topic=name, topic_id=id_) for name, id_ in sorted(clean_up.topics.items())),
            groups=tuple(sorted(clean_up.groups)),
            problems=clean_up.problems,
        )
    return Privacy(
        erasure_ledger=no_ledger, suppressed_records=no_ledger, erased_stay_erased=no_ledger, scratch_data=scratch
    )


def _result(result: DrillResult, context: EvidenceContext) -> Result:
    failures = [Finding(severity="failure", text=text) for text in result.failures]
    remarks = [Finding(severity="remark", text=text) for text in _remarks(result)]
    stated = context.configured
    nothing = "no action was recorded when the report was made"
    return Result(
        verdict="failed" if failures else "passed with remarks" if remarks else "passed",
        findings=(*failures, *remarks),
        corrective_action=_known(stated.corrective_action, nothing),
        action_owner=_known(stated.action_owner, nothing),
        action_due=_known(stated.action_due, nothing),
        repeating_test=_known(stated.repeating_test, nothing),
    )


def _remarks(result: DrillResult) -> Iterator[str]:
    """A sentence for everything that limits what the drill proves."""
    if result.data.excluded:
        yield f"Topics of the point that were left out: {len(result.data.excluded):,}. The report gives the reasons."
    yield from result.data.incomplete
    counts = [one for one in result.partitions if one.level == "counts"]
    samples = [one for one in result.partitions if one.level == "sample"]
    if counts:
        yield f"In {counted(len(counts), 'partition')} only the number of records was compared, not their contents."
    if samples:
        compared = sum(one.compared_records for one in samples)
        expected = sum(one.expected_records for one in samples)
        yield (f"In {counted(len(samples), 'partition')} a sample was compared: {compared:,} of {expected:,} records.")
    if result.clean_up is not None and result.clean_up.came_back:
        yield f"A client created scratch topics again. The drill removed them: {', '.join(result.clean_up.came_back)}."
    for drill, left in result.earlier.items():
        sentences = " ".join((*left.problems, *left.kept))
        yield f"The earlier drill {drill} had left something: {left.summary}. {sentences}".rstrip()
    if _is_other_cluster(result) is False:
        yield "The drill ran on the source cluster, so it does not show that another cluster can take over."


def _proof(context: EvidenceContext) -> Proof:
    return Proof(
        canonical_form="RFC 8785",
        key_id=_known(context.key_id, UNSIGNED),
        time_stamp=Unknown(unknown="this version asks no time-stamp authority"),
        kept=_configured(context.configured.kept),
        how_to_verify="kafka-backup evidence verify envelope.json --key PUBLIC.pem, or openssl: see docs/EVIDENCE.md",
    )
