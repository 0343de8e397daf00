"""The partitions of a dataset, each a line of versions of its own: which are expected, and how each stands."""
