"""Capture: reads offset ranges of partitions and stores their batches in data objects.

Here are the loop over the ranges of a bin (`capture_ranges`), the first answers that small ranges share
(`first_answers`), the reader of one range (`range_reader`, `scan`), the segments and data objects that the batches go
into (`segment`, `object_sink`), and the small result that is sent to the commit (`capture_result`).

Promises: batches are stored as the broker served them, and each is checked against its CRC. Lost offsets become gaps
with a reason; nothing is left out without one. A failed partition does not stop the others. Each attempt writes under
its own writer id, so that it can be repeated in any process. A worker keeps a few fetch answers and one unfinished
object in memory.

Never: append to a set's log, change a batch, or end a range because the leader sent nothing, except for a compacted
topic.
"""
