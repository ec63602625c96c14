"""Attacks, methods and evaluation of the room ``robust``."""
