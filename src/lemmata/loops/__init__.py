"""How torch networks are trained: what a task owes, and the loops that train it, resumable at any step."""
