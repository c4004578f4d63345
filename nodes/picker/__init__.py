"""The Python side of the picker on DiffSeg Select: prompts, files and what it shows."""
