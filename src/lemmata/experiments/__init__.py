"""One file per result: grid, claim, figure."""
