"""Creates or updates the automation for runs whose process and worker both died: `python deployments/automations.py`.

A worker reports the runs that die beside it. When the machine dies nobody does, and the run would show as running for
ever; its heartbeats are missed instead.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

if __name__ == "__main__":  # run as a file, this folder would be searched first, where `blocks` is not the package
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from prefect.automations import Automation, ChangeFlowRunState, EventTrigger, Posture
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType

from deployments.prefect_file import deployed_flows

NAME = "kafka-backup: runs that ended without a word"
SILENCE = timedelta(minutes=3)
"""Six heartbeats of prefect.yaml. Longer than a restart of the server, after which running flows speak up again."""


def silence_automation() -> Automation:
    """Marks a run of our flows as crashed when it began to send heartbeats and neither sent the next nor ended."""
    return Automation(
        name=NAME,
        description="The process and its worker are gone; the next run of the set cleans up behind it.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},  # the next heartbeat, or any state it may end in, whatever its name
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": deployed_flows()},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=SILENCE,
        ),
        actions=[
            ChangeFlowRunState(state=StateType.CRASHED, message=f"No heartbeat for {SILENCE.total_seconds():.0f} s.")
        ],
    )


def main() -> int:
    """Returns an exit code."""
    automation = silence_automation()
    with get_client(sync_client=True) as client:
        known = client.read_automations_by_name(NAME)
    if known:
        automation.id = known[0].id
        automation.update()
    else:
        automation.create()
    print(f"{NAME!r} {'updated' if known else 'created'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
