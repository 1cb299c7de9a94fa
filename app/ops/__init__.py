"""Keeping the service running and seeing what it does: health, metrics, logs, jobs, questions."""
