"""The bench: a command that prints the figures of performance as ratios of one run."""
