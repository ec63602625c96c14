"""What is seen: quantities recorded along training."""
