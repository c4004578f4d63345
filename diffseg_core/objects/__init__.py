"""One object out of a hierarchy: clicks with plus and minus, boxes and strokes."""
