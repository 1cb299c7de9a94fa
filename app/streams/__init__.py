"""Event streams: what happened, as CloudEvents, in one order, to sinks."""
