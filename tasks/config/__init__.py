"""Reads the YAML files backup.yaml and restore.yaml.

`load.py` reads a file: `yaml_tree.py` parses YAML with line numbers and replaces `${VARIABLES}`, `classify_keys.py`
sorts the keys by the tables in `keys.py`, and `check.py` validates them with the models of `models.py`.
`storage_path.py` makes the path of a folder absolute. `adapters.py` makes connections and stores from the sections;
Prefect blocks use the same models and adapters. `new_repository.py` opens or creates the repository of a backup, and
`check_context.py` prepares a check.

All problems of a file are reported at once, each with its line. No key is ignored without a note, and no message
contains a value that can be a secret. Nothing here imports Prefect, and reading a file imports no Kafka library and no
SDK of a store.
"""
