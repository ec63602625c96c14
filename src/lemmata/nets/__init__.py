"""What is trained: one architecture per file."""
