"""What may happen: pure rules over values. No I/O, no clock, no chance."""
