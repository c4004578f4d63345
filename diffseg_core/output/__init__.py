"""Segments for the eye and for other programs: images, files, SEGS."""
