"""From a plan by way of captured bins to one restore point in the log."""
