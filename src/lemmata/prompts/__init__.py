"""In-context prompts and their ground truth, drawn anew at each step from per-cell counters."""
