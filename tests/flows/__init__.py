"""The engine of flows."""
