"""Which backends can be used here, and if not, why, and the command that fixes it."""
