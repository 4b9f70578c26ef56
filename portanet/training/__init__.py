"""Training: the loop, the trainer, and what it needs."""
