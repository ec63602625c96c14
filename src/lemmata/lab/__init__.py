"""How an experiment is described, found and run."""
