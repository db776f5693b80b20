"""The raw side: reads and writes logs over our own blocking connections, for one thread each.

`connection` sends requests and receives answers of one broker, over the sockets of `transport`; `diagnosis` finds out
why a new connection failed. `cluster` keeps leaders and connections. On top, one module per request: `metadata`,
`offsets`, `log_dirs`, `fetch`, `produce` (with `partition_queue` and `produce_recovery`).

Promises: batches are fetched and produced byte for byte. Each produced batch is stored exactly once and in order, also
after lost answers, new leaders and restarted brokers. A failed connection is closed and never used again. A permanent
configuration error is reported at once and not retried until the deadline.

Must never: decode or change records, use a connection from two threads, do work per batch in fetch or produce that can
be done per request (their CPU time is benchmarked), or conclude from an empty answer that a log ends.
"""
