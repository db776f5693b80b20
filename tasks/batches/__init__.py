"""Kafka's record batches (magic 2): headers, records, checksums and compression, and the rewriting of batches for a
restore. Pure functions over bytes."""
