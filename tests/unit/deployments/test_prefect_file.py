from __future__ import annotations

import pytest
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ParameterTypeError

from deployments.prefect_file import deployed_flows, entries, environment_of, flow_of, served

ENTRIES = {f"{flow_of(entry).name}/{entry['name']}": entry for entry in entries()}
GIVEN_AT_START = {"restore/on-demand": {"target": "disaster-recovery"}}


def test_the_file_deploys_every_flow() -> None:
    expected = [
        "snapshot-backup/nightly",
        "incremental-backup/hourly",
        "continuous-backup/always",
        "consolidate/weekly",
        "retention/daily",
        "validate/daily",
        "validate-restore/daily",
        "restore/on-demand",
        "restore-drill/weekly",
        "restore-drill/on-demand",
        "check/on-demand",
    ]

    assert expected == list(ENTRIES)
    assert [
        "check",
        "consolidate",
        "continuous-backup",
        "incremental-backup",
        "restore",
        "restore-drill",
        "retention",
        "snapshot-backup",
        "validate",
        "validate-restore",
    ] == deployed_flows()


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entrypoint_loads_and_takes_the_parameters_that_are_written(name: str) -> None:
    entry = ENTRIES[name]
    parameters = {**entry["parameters"], **GIVEN_AT_START.get(name, {})}

    assert set(parameters) <= set(flow_of(entry).validate_parameters(parameters))


def test_a_restore_without_a_target_is_refused() -> None:
    entry = ENTRIES["restore/on-demand"]

    with pytest.raises(ParameterTypeError):
        flow_of(entry).validate_parameters(entry["parameters"])


@pytest.mark.parametrize("name", ENTRIES)
def test_a_parameter_that_a_flow_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(TypeError):
        flow_of(ENTRIES[name]).validate_parameters({**ENTRIES[name]["parameters"], "bakup_id": "x"})


@pytest.mark.parametrize("name", ENTRIES)
def test_every_deployment_has_a_description_and_tags(name: str) -> None:
    entry = ENTRIES[name]

    assert entry["description"].endswith(".")
    assert "kafka-backup" in entry["tags"]


def test_no_deployment_has_a_limit_because_prefect_ends_runs_whose_lease_it_lost() -> None:
    assert [] == [name for name, entry in ENTRIES.items() if "concurrency_limit" in entry]


def test_no_secret_is_taken_from_a_block_into_parameters() -> None:
    assert "prefect.blocks" not in str(ENTRIES)


def test_a_served_deployment_is_the_one_of_the_file() -> None:
    entry = ENTRIES["snapshot-backup/nightly"]

    deployment = served(entry)

    assert ("nightly", "snapshot-backup") == (deployment.name, deployment.flow_name)
    assert "flows.backup.snapshot_backup" == deployment.entrypoint
    assert entry["parameters"] == deployment.parameters
    assert (entry["description"], entry["tags"]) == (deployment.description, deployment.tags)
    [schedule] = deployment.schedules or []
    assert isinstance(schedule.schedule, CronSchedule)
    assert entry["schedules"] == [{"cron": schedule.schedule.cron, "timezone": schedule.schedule.timezone}]
    assert "30" == environment_of(entry)["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]
