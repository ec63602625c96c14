"""How it moves: train(), one engine per file."""
