"""Approximate indexes of a partition's vectors: how one is built, kept, searched, tuned and measured."""
