"""The Kafka ports, and their implementation over the network.

The engine uses only `ports`, with the values in `log_values`, `admin_values` and `probe_values`. `kafka_access`
implements the ports: `raw/` owns the connections and reads and writes logs over them, `admin/` administers topics,
groups and ACLs over the same kind of connections. `auth/` authenticates connections, `messages/` encodes requests and
decodes responses. `error_codes`, `error_classes` and `translation` turn Kafka's codes into errors of this program.
`retry` has the deadline and the waits of every retry.

Promises: every error is one of `tasks.model.errors` and names the action and its object. Retryable errors are retried
until a deadline. The waits of readers, writers and administrative clients end soon after `stop` is set. Leaders
are looked up by topic id, so the log of a re-created topic is never read as that of the old topic.

Must never: decide what to back up or restore, change record batches, access a store or the repository, show a secret,
or let an exception or a type of an SDK out of this folder.
"""
