"""Lemmata: a laboratory for deep-learning theory."""

__version__ = "0.1.0"
