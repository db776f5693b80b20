"""The flows: what happens in which order. Steps are in `tasks`, words for the UI's forms in `flows.parameters`."""
