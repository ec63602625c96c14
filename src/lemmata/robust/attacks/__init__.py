"""Attacks: functions from images to images inside a ball around them that a network gets wrong."""
