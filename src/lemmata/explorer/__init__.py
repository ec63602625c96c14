"""Live in the browser: maps that are trained while one looks, and stored runs; loaded by its command alone."""
