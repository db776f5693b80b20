"""Target: everything that a restore plans, checks and changes on a cluster except records and positions.

Here are the choice of topics and partitions (`selection`), the plan (`restore_plan`, `restore_bins`), the settings
during and after the replay (`staging`, `accepted_settings`, `unfinished_restores`), the checks before anything is
changed (`preflight`, `target_findings`, `target_records`, `shrunk_point`, `findings`, `permissions`), the target topics
(`prepare_topics`), and the last step (`finalize`).

Promises: the plan is complete before anything is changed, and a finding of level `error` forbids the restore. Until a
restore is verified, no setting of its topics deletes, changes or refuses restored records, unless a finding states it.
Settings that would delete restored records are deferred until an operator runs `finalize`. A topic that is not the
planned or restored one is never changed.

Never: write into a topic that contains records, guess between two incarnations of a topic, or restore less than was
selected without a finding.
"""
