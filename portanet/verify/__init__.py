"""Checks of the library itself: gradients, agreement between backends, and the table of cases that both try."""
