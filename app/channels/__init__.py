"""How people are reached: the facts of each channel as tables, and addresses. No I/O."""
