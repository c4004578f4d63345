"""Write the golden files of hierarchies and refined edges anew.

Run as `.venv/bin/python tests/core/make_nested_golden.py`.

They hold what this package gave when they were written. Write them anew only where another result is meant,
and say in the commit why it is better.
"""

from __future__ import annotations

import json

import numpy as np
from golden_files import CUTS, FOLDER, PHOTOGRAPHS, nested_maps, photograph

from diffseg_core import refine_edges, segment, segment_hierarchy, soft_masks


def main() -> None:
    """Write one file for each photograph."""
    for name in PHOTOGRAPHS:
        maps, image = nested_maps(name), photograph(name)
        segments = segment_hierarchy(maps, image)
        tree = segments.hierarchies[0]
        cuts = {
            f"labels_{number or 'automatic'}": (
                segments if number is None else segments.at_granularity(number)
            ).labels[0]
            for number in CUTS
        }
        merged = segment(maps, tuple(image.shape[1:3]), merge_threshold=1.0)
        refined = refine_edges(merged, image)
        soft = soft_masks(refined, image)
        np.savez_compressed(
            FOLDER / f"nested-{name}.npz",
            meta=json.dumps({"photograph": name, "automatic": tree.automatic_number()}),
            leaves=tree.leaves.numpy().astype(np.int16),
            joins=tree.joins.numpy().astype(np.int16),
            heights=tree.heights.numpy(),
            merged=merged.labels[0].numpy().astype(np.int8),
            refined=refined.labels[0].numpy().astype(np.int8),
            soft=(soft[:, ::8, ::8] * 255).round().numpy().astype(np.uint8),
            **{key: labels.numpy().astype(np.int16) for key, labels in cuts.items()},
        )


if __name__ == "__main__":
    main()
