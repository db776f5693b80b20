"""The report of a drill: the verdict, the fields, and what it says about what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tasks.engine.drilling.drill_result import PartitionComparison
from tasks.engine.evidence.build_report import UNSIGNED, build_report
from tasks.engine.evidence.evidence_context import ConfiguredEvidence
from tasks.engine.evidence.report import DrillReport, PastDrill, Unknown
from tests.support.made_drill import (
    drill_id,
    failed_drill,
    full_context,
    made_context,
    passed_drill,
    unknown_drill,
)


def test_a_drill_that_compared_everything_on_another_cluster_has_passed_without_findings() -> None:
    report = build_report(passed_drill(), made_context())

    assert ("passed", ()) == (report.result.verdict, report.result.findings)
    assert ["passed"] * 4 == [check.verdict for check in report.integrity.checks]
    assert (900_000, 272_500, 627_500, "met") == _values(report, "rto")


def test_a_failed_drill_names_each_failure_and_what_it_did_not_test() -> None:
    drill = failed_drill()
    report = build_report(drill, made_context())

    found = [finding.text for finding in report.result.findings if finding.severity == "failure"]
    assert "failed" == report.result.verdict
    assert list(drill.failures) == found
    assert 6 == len(found)
    assert [("logs", "larger than the limit of the drill")] == [
        (one.topic, one.reason) for one in report.tested.excluded
    ]
    assert (900_000, 1_200_000, -300_000, "missed") == _values(report, "rto")
    assert ["failed"] * 4 == [check.verdict for check in report.integrity.checks]


def test_a_drill_that_proves_less_has_passed_with_remarks() -> None:
    drill = passed_drill()
    sampled: PartitionComparison = replace(drill.partitions[0], level="sample", compared_records=10)
    counted: PartitionComparison = replace(
        drill.partitions[1], level="counts", compared_records=0, expected_digest=None, found_digest=None
    )
    drill = replace(
        drill,
        data=replace(drill.data, excluded={"logs": "too large"}),
        target_cluster_id=drill.source_cluster_id,
        partitions=(sampled, counted),
    )
    report = build_report(drill, made_context())

    assert "passed with remarks" == report.result.verdict
    assert [
        "Topics of the point that were left out: 1. The report gives the reasons.",
        "In 1 partition only the number of records was compared, not their contents.",
        "In 1 partition a sample was compared: 10 of 1,000 records.",
        "The drill ran on the source cluster, so it does not show that another cluster can take over.",
    ] == [finding.text for finding in report.result.findings]


def test_each_field_that_is_not_known_contains_a_reason() -> None:
    report = build_report(unknown_drill(), made_context())

    unknown = dict(_unknown(report.to_json()))
    assert all(unknown.values())
    assert "not configured" == unknown["identity.organisation"] == unknown["who.approved_by"] == unknown["mapping"]
    assert "the drill did not reach this step" == unknown["when.verified_ms"]
    assert "the drill ended before it had reached the target cluster" == unknown["where.target_cluster_id"]
    assert "nothing was cleaned up" == unknown["privacy.scratch_data"]
    assert "no partition of the topic was compared" == unknown["tested.topics.0.topic_id"]
    assert UNSIGNED == unknown["proof.key_id"]
    assert "failed" == report.result.verdict


def test_with_everything_known_only_what_this_version_does_not_have_is_unknown() -> None:
    past = PastDrill(
        drill=drill_id(), started_ms=1, verdict="passed", rto_ms=5, rpo_ms=Unknown(unknown="x"), sha256="e" * 64
    )
    context = replace(full_context(), last_drills=(past,), tested_before=frozenset({"payments", "gone"}))
    report = build_report(failed_drill(1), context)

    assert {
        "identity.previous_report",
        "integrity.acls",
        "integrity.schemas",
        "integrity.checks.1.duration_ms",
        "integrity.checks.2.duration_ms",
        "objectives.last_drills.0.rpo_ms",
        "objectives.rpo_by_canary_ms",
        "privacy.erasure_ledger",
        "privacy.erased_stay_erased",
        "privacy.suppressed_records",
        "proof.time_stamp",
        "where.recipient_key_ids",
    } == {name for name, _ in _unknown(report.to_json())}
    assert (3, 2, 1, 2) == tuple(report.tested.coverage.to_json().values())
    assert report.who.duties_are_separate is True


def test_duties_are_not_separate_if_one_person_asked_for_the_drill_and_approved_it() -> None:
    stated = ConfiguredEvidence(requested_by="Anna", approved_by="anna", reviewed_by="Ben")
    report = build_report(passed_drill(), replace(made_context(), configured=stated))

    assert report.who.duties_are_separate is False


def test_half_characters_in_names_become_escapes() -> None:
    report = build_report(passed_drill(topics=("a\ud800",)), made_context())

    assert "a\\ud800" == report.tested.topics[0].topic


def _values(report: DrillReport, name: str) -> tuple[object, ...]:
    return tuple(getattr(report.objectives, name).to_json().values())


def _unknown(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, reason) of each unknown value."""
    if isinstance(value, dict):
        if value.keys() == {"unknown"}:
            yield path[1:], value["unknown"]
            return
        for name, member in value.items():
            yield from _unknown(member, f"{path}.{name}")
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _unknown(member, f"{path}.{number}")
