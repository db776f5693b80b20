"""Creates or updates the automation that marks dead runs as crashed: `python -m deployments.automations`. Contains its
name, its earlier names, and how long a run can be without a heartbeat.

A worker reports the runs that die on its machine. If the whole machine dies, nothing reports its runs, and the UI would
show them as running for ever. The automation notices that their heartbeats are missing.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from prefect.automations import Automation, ChangeFlowRunState, EventTrigger, Posture
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType

from deployments.prefect_file import deployed_flows

NAME = "kafka-backup: runs without heartbeat"
EARLIER_NAMES = ("kafka-backup: runs that ended without a word",)
"""Earlier names of the automation. An installed automation with such a name gets the name above, so that there are
never two."""

NO_HEARTBEAT_FOR = timedelta(minutes=3)
"""How long a run can be without a heartbeat: six heartbeats of prefect.yaml. This is longer than a restart of the
server, after which running flows send heartbeats again."""


def heartbeat_automation() -> Automation:
    """The automation that marks a run of our flows as crashed. It does so if the run has sent a heartbeat and then, for
    `NO_HEARTBEAT_FOR`, neither sends the next one nor ends."""
    return Automation(
        name=NAME,
        description="The process of the run and its worker have died. The next run of the backup set closes this one.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},  # the next heartbeat, or a state in which the run ends, whatever its name
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": deployed_flows()},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=NO_HEARTBEAT_FOR,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, message=f"No heartbeat for {NO_HEARTBEAT_FOR.total_seconds():.0f} s."
            )
        ],
    )


def main() -> int:
    """Create the automation, or update the one that is installed. Returns an exit code. May be called again."""
    automation, installed = heartbeat_automation(), _installed()
    if installed is None:
        automation.create()
    else:
        automation.id = installed
        automation.update()
    print(f"{NAME!r} {'created' if installed is None else 'updated'}")
    return 0


def _installed() -> UUID | None:
    """The id of the automation on the server, found by its name or one of its earlier names. None if there is none."""
    with get_client(sync_client=True) as client:
        for name in (NAME, *EARLIER_NAMES):
            for automation in client.read_automations_by_name(name):
                return automation.id
    return None


if __name__ == "__main__":
    raise SystemExit(main())
