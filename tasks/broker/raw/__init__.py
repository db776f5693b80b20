"""The raw side: reads and writes logs over this program's own blocking connections. Each is used by one thread.

`connection` sends requests to one broker and receives its answers, over the sockets of `transport`. `connection_gate`
limits the threads that connect, and `diagnosis` finds out why a new connection failed. `cluster` keeps leaders and
connections; `addresses` and `required_versions` check what it connects to. Each request has its module: `metadata`,
`offsets`, `epochs`, `producers`, `log_dirs`, `fetch` (for many partitions `shared_fetch`), `produce` (with
`partition_queue` and `produce_recovery`). `leader_requests` sends one request to each leader. `broker_probe` and
`new_topic_rights` implement the probe.

Promises: batches are fetched and produced byte for byte. Each produced batch is stored exactly once and in order, also
after lost answers, new leaders and restarted brokers. A failed connection is closed and never used again. A permanent
configuration error is reported at once and not retried until the deadline.

Must never: decode or change records, use a connection from two threads, do work for each batch in fetch or produce that
can be done once for a request (a benchmark measures their CPU time), or conclude from an empty answer that a log ends.
"""
