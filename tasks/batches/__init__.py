"""Kafka record batches (magic 2): headers, CRC-32C, records both ways, the rewrites of a restore. Pure, over bytes."""
