"""The backend `memory`: objects in the memory of this process, for tests and trials."""
