"""Data that is read from disk."""
