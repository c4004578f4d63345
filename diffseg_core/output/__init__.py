"""Segments for the eye and for other programs: pictures, files, SEGS."""
