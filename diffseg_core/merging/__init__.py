"""The paper's method: anchors, iterative merging, suppression, k-means (sections 3.3 and 3.4)."""
