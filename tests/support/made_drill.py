"""Results of drills that no cluster produced: one that passed, one that failed, and one that knows nothing."""

from __future__ import annotations

from dataclasses import replace

from tasks.engine.drilling.drill_result import (
    ChosenData,
    CleanUp,
    DrillResult,
    DrillTimes,
    GroupComparison,
    Objectives,
    OwnerCheck,
    PartitionComparison,
    SettingsComparison,
)
from tasks.engine.evidence.evidence_context import ConfiguredEvidence, EvidenceContext
from tasks.engine.evidence.report import Gap, Machine, ReadObject
from tasks.model.partition import Partition
from tests.support.made_backup import SET

START_MS = 1_795_000_000_000
DAY_MS = 86_400_000


def drill_id(number: int = 0) -> str:
    """The id of the drill on day `number`."""
    return f"202611{11 + number:02d}T100000000Z-0000000{number % 10}"


def passed_drill(number: int = 0, *, topics: tuple[str, ...] = ("orders",), rto_s: float = 272.5) -> DrillResult:
    """A drill of every record of two partitions of each topic, with nothing left out."""
    start = START_MS + number * DAY_MS
    partitions = tuple(_partition(topic, number) for topic in topics for number in range(2))
    return DrillResult(
        drill=drill_id(number),
        data=ChosenData(
            set_name=SET,
            point=1,
            point_ms=start - 600_000,
            choice="the newest point",
            topics=topics,
            excluded={},
            partitions=len(partitions),
            records=1_000 * len(partitions),
            log_bytes=5_000_000,
        ),
        repository_id="0" * 32,
        source_cluster_id="source-cluster",
        target_cluster_id="drill-cluster",
        scratch_prefix="drill-",
        partitions=partitions,
        settings=tuple(SettingsComparison(topic=topic, target=f"drill-{topic}", compared=7) for topic in topics),
        groups=(GroupComparison(group="billing", scratch_group="drill-billing", positions=2),),
        checks=(OwnerCheck(name="balance", kind="command", verdict="passed", output="sum 4711", seconds=1.5),),
        clean_up=CleanUp(topics={f"drill-{topic}": "d" * 22 for topic in topics}, groups=("drill-billing",)),
        times=DrillTimes(
            requested_ms=start - 5_000,
            started_ms=start,
            first_record_ms=start + 12_000,
            data_complete_ms=start + 250_000,
            groups_ready_ms=start + 272_500,
            verified_ms=start + 400_000,
            cleaned_up_ms=start + 405_000,
        ),
        objectives=Objectives(rto_target_s=900, rto_s=rto_s, rpo_target_s=3600, rpo_s=600),
    )


def failed_drill(number: int = 0) -> DrillResult:
    """A drill with a difference of each kind, a missed objective and a scratch topic that could not be deleted."""
    drill = passed_drill(number, topics=("orders", "payments"), rto_s=1_200)
    first, *others = drill.partitions
    return replace(
        drill,
        data=replace(drill.data, excluded={"logs": "larger than the limit of the drill"}),
        partitions=(replace(first, found_records=999, found_digest="f" * 64, problem="record 17 differs"), *others),
        settings=(replace(drill.settings[0], problems=("cleanup.policy is delete, not compact",)), drill.settings[1]),
        groups=(replace(drill.groups[0], problems=("partition 0: 5, not 7",)),),
        checks=(replace(drill.checks[0], verdict="failed", output="sum 0"),),
        clean_up=CleanUp(topics={}, groups=(), problems=("drill-orders could not be deleted",)),
    )


def unknown_drill(number: int = 0) -> DrillResult:
    """A drill that ended before it had reached the target cluster."""
    drill = passed_drill(number)
    return replace(
        drill,
        target_cluster_id=None,
        partitions=(),
        settings=(),
        groups=(),
        checks=(),
        clean_up=None,
        times=DrillTimes(requested_ms=drill.times.requested_ms, started_ms=drill.times.started_ms),
        objectives=Objectives(rto_target_s=None, rto_s=None, rpo_target_s=None, rpo_s=None),
        problems=("The brokers kafka:9092 could not be reached.",),
    )


def made_context() -> EvidenceContext:
    """A context in which nothing optional is known. It is the same on each machine."""
    return EvidenceContext(
        tool="prefect-kafka-backup 0.1.0", machine=Machine(host="runner-1", user="drills", process_id=42)
    )


def full_context() -> EvidenceContext:
    """A context in which everything is known."""
    stated = ConfiguredEvidence(
        organisation="Example Bank",
        environment="production",
        business_function="payments",
        criticality="critical",
        policy_id="BCP-7",
        policy_version="3",
        drill_every_ms=7 * DAY_MS,
        requested_by="Anna",
        approved_by="Ben",
        reviewed_by="Cleo",
        ticket="CHG-1",
        account="another account",
        network="another network",
        identity="another identity",
        region="eu-central-1",
        copy_used="primary",
        kept="for 7 years",
        corrective_action="none needed",
        action_owner="Dora",
        action_due="2026-12-31",
        repeating_test="the next drill",
        controls={"DORA article 12": ("objectives", "integrity")},
    )
    return replace(
        made_context(),
        configured=stated,
        build_digest="a" * 64,
        store="s3://backups/production",
        lock_mode="COMPLIANCE",
        lock_until_ms=START_MS + 365 * DAY_MS,
        gaps=(Gap(topic="orders", partition=1, first=5, next=9, reason="deleted by retention"),),
        objects_read=(ReadObject(key="data/demo/a.log.zst", sha256="b" * 64),),
        log_chain="verified from entry 1 to entry 9",
        outside_count="2,000 orders in the ledger",
        key_id="c" * 64,
    )


def _partition(topic: str, number: int) -> PartitionComparison:
    digest = f"{number}" * 64
    return PartitionComparison(
        source=Partition(topic, "s" * 22, number),
        target=Partition(f"drill-{topic}", "d" * 22, number),
        level="full",
        expected_records=1_000,
        found_records=1_000,
        compared_records=1_000,
        expected_digest=digest,
        found_digest=digest,
        problem=None,
        seconds=3.25,
    )
