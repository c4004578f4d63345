"""Many images at once: read from disk, segmented by a model outside ComfyUI, here or on many machines."""
