"""Readers of corpora, queries and judgements: one file per format, all giving the same three tables."""
