"""The readers, a format per file, and what they return."""
