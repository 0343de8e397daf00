"""Bytes under keys, somewhere: put once, got by digest, and one pointer that is swapped."""
