"""One folder per publication; papers never import each other, and no room imports a paper."""
