"""Picture files: where they lie, and how each becomes an array."""
