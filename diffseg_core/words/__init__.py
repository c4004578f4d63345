"""Naming segments: words, and which segments the model's attention to them means."""
