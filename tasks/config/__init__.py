"""backup.yaml and restore.yaml, and the adapters they stand for."""
