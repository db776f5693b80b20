"""`make demo`: a real Kafka, a backup, its validation, a restore, and a comparison by an independent reader."""
