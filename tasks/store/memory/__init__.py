"""The backend `memory`: objects in this process, for tests and dry runs."""
