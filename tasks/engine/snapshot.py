"""A snapshot: hold the set's lease, plan, capture every bin, commit. The command runs the steps in one process; a flow
runs each of them as a task."""

from __future__ import annotations

from functools import partial

from tasks.engine.backup_steps import back_up_locally
from tasks.engine.source.snapshot_plan import plan_snapshot

snapshot_locally = partial(back_up_locally, make_plan=plan_snapshot)
"""See `back_up_locally`."""
