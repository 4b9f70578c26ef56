"""One step of training, and the state that it changes."""
