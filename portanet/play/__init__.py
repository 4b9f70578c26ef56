"""A page to play on: train a network on points in the plane, draw digits, follow a training step in numbers."""
