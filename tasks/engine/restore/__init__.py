"""From a restore point by way of replayed bins to verified topics with their settings and group positions."""
