"""The image itself: its superpixels, its edges and its colours."""
