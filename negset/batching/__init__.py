"""Batch plans: which queries share a batch, made as tables before training. See `negset/batching/planner.py`."""
