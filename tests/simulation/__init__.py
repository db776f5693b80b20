"""Simulated worlds at the ports: the engine runs against them in histories of thousands of steps."""
