"""Bodies of experiments that are more than a training run as it stands. Loaded when they run, as they load PyTorch."""
