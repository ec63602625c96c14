"""Bodies of no one paper."""
