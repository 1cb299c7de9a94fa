"""The doors: where carriers call."""
