"""What is sampled: one distribution per file, ground truth kept."""
