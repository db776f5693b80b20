"""`make bench`: speed and memory as ratios against other programs, measured side by side in one run."""
