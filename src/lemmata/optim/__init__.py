"""Optimisers: torch.optim classes that stand alone."""
