"""Batch plans: one file each, found by its name. See `negset/batching/planner.py`."""
