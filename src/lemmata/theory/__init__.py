"""What is predicted: plain functions, one topic per file; imports nothing of the other rooms."""
