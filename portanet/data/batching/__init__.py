"""What a trainer does with data: checked, split, weighted, in batches."""
