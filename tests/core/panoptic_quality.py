"""COCO's panoptic quality, as panopticapi reads the files and counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def panoptic_quality(truth: Path, found: Path, truth_folder: Path, found_folder: Path) -> float:
    """Mean over the categories; fails as panopticapi does where ids are in one of PNG and JSON alone."""
    true_file, found_file = json.loads(truth.read_text()), json.loads(found.read_text())
    categories = {category["id"]: category["isthing"] for category in true_file["categories"]}
    by_image = {annotation["image_id"]: annotation for annotation in found_file["annotations"]}
    sums = dict.fromkeys(categories, 0.0)
    weights = dict.fromkeys(categories, 0.0)
    for annotation in true_file["annotations"]:
        other = by_image[annotation["image_id"]]
        true_ids = read_ids(truth_folder / annotation["file_name"])
        found_ids = read_ids(found_folder / other["file_name"])
        true_classes, found_classes = classes(annotation), classes(other)
        assert set(np.unique(found_ids).tolist()) - {0} == set(found_classes)
        assert set(found_classes.values()) <= set(categories)
        for true_id, category in true_classes.items():
            weights[category] += 0.5
            for found_id in np.unique(found_ids[true_ids == true_id]).tolist():
                if found_classes.get(found_id) == category:
                    here, there = true_ids == true_id, (found_ids == found_id) & (true_ids != 0)
                    overlap = (here & there).sum() / (here | there).sum()
                    sums[category] += overlap * (overlap > 0.5)
        for found_id, category in found_classes.items():
            weights[category] += 0.5 * ((true_ids[found_ids == found_id] == 0).mean() <= 0.5)
    return float(np.mean([sums[each] / weights[each] for each in categories if weights[each]]))


def read_ids(path: Path) -> np.ndarray:
    """rgb2id of panopticapi."""
    with Image.open(path) as opened:
        assert opened.mode == "RGB"
        colours = np.asarray(opened).astype(np.int64)
    return colours[..., 0] + 256 * colours[..., 1] + 65536 * colours[..., 2]


def classes(annotation: dict[str, Any]) -> dict[int, int]:
    assert all(segment["iscrowd"] == 0 for segment in annotation["segments_info"])
    return {segment["id"]: segment["category_id"] for segment in annotation["segments_info"]}
