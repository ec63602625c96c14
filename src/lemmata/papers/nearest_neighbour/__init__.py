"""One-layer attention learns one-nearest-neighbour."""
