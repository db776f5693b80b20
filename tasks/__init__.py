"""The work of prefect-kafka-backup: a file directly in this folder is Prefect; a folder in it is plain Python."""
