"""Kafka: raw connections for bulk data, confluent-kafka for administration and groups."""
