"""The `kafka-backup` command."""
