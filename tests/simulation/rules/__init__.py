"""The rules of the engine, each with its test: the program's own use cases run against a simulated Kafka.

One file per subject, named like the module whose rules it holds. `small_world.py` has what every test begins with.
"""
