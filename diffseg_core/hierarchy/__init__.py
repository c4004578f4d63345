"""Segments of every granularity: the tree, and how it is built."""
