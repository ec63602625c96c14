"""Grid to dataset: grid, tiles, store, executors."""
