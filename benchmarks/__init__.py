"""Segmentation quality on annotated photographs. For developers; not part of the installed pack."""
