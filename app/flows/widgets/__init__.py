"""What a state of a flow can be: one file for each widget, found by `discover`."""
