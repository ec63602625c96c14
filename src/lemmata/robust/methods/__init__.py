"""Adversarial training, one method per file: a loss for a training loop, and what an epoch says of the classes."""
