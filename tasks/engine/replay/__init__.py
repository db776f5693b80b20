"""Replay: writes stored batches to their target partitions, and verifies the result.

Here are the batches to send (`target_batches`), the replay of one bin (`replay`), the check that staged settings are
still in force (`staged_settings`), and the comparison of restored targets with the backup (`verify`).

Promises: every restorable record is written exactly once, in order, with its timestamp and headers. The batches are a
function of the plan and the index lines alone, so that a repeated replay builds the same batches. A target whose log
does not end at its base offset is refused before anything is written. A mismatch is reported only for what was read.

Never: create, purge or configure topics, write to a partition that is not in the plan, or report a temporary failure of
the cluster as a mismatch.
"""
