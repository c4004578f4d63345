"""The picture itself: its superpixels, its edges and its colours."""
