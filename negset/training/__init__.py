"""Training of retrievers on negative sets."""
