"""The YAML files backup.yaml and restore.yaml.

`load.py` reads a file: `yaml_tree.py` parses YAML with line numbers and replaces `${VARIABLES}`, `classify_keys.py`
sorts the keys, `check.py` validates them with the models of `models.py`. `adapters.py` turns the sections into
connections and stores; Prefect blocks use the same models and adapters.

All problems of a file are reported at once, each with its line. No key is ignored without a note, and no message shows
a value that may be a secret. Nothing here imports Prefect, and reading a file imports no Kafka library and no SDK of a
store.
"""
