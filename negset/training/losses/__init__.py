"""Losses: one file each, found by its name. See `negset/training/objective.py`."""
