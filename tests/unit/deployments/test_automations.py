"""The automation for runs without heartbeat: installed once, whatever it was called before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger

from deployments.automations import EARLIER_NAMES, NAME, heartbeat_automation, main
from deployments.prefect_file import deployed_flows


@pytest.fixture
def installed(client: SyncPrefectClient) -> Iterator[SyncPrefectClient]:
    yield client
    for automation in _all(client):
        client.delete_automation(automation.id)


def _all(client: SyncPrefectClient) -> list[Automation]:
    return [one for name in (NAME, *EARLIER_NAMES) for one in client.read_automations_by_name(name)]


def test_it_is_created_once_and_updated_after_that(
    installed: SyncPrefectClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (0, 0) == (main(), main())

    assert [f"'{NAME}' created", f"'{NAME}' updated"] == capsys.readouterr().out.splitlines()
    assert [NAME] == [one.name for one in _all(installed)]


@pytest.mark.parametrize("name", EARLIER_NAMES)
def test_an_automation_with_an_earlier_name_is_renamed_and_not_doubled(installed: SyncPrefectClient, name: str) -> None:
    earlier = heartbeat_automation()
    earlier.name = name
    earlier.create()

    assert 0 == main()

    [automation] = _all(installed)
    assert (earlier.id, NAME) == (automation.id, automation.name)


def test_it_concerns_every_flow_that_is_deployed() -> None:
    trigger = heartbeat_automation().trigger
    assert {"prefect.resource.name": deployed_flows()}.items() <= trigger.match_related.root.items()  # type: ignore[union-attr]


def test_the_printed_automation_for_overdue_drills_is_one_that_prefect_accepts() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "OPERATIONS.md").read_text()
    [printed] = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "drill.overdue" in block]

    automation = AutomationCore.model_validate(yaml.safe_load(printed))

    assert isinstance(automation.trigger, EventTrigger)
    assert {"kafka-backup.drill.overdue"} == automation.trigger.expect
