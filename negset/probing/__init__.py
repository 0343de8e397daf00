"""Measure what negative sets are worth by training something small on each, and choose a recipe by it."""
