"""How well objects are found by clicks and boxes, beside the same on colours alone and simple controls."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffseg_cli.batch.segmenter import Segmenter
from diffseg_core.benchmark.clicks import Bitmap, Truth, box_of, click_ious, clicks_needed, object_iou
from diffseg_core.benchmark.colours import colour_tree
from diffseg_core.hierarchy.segment_hierarchy import segment_hierarchy
from diffseg_core.images import as_images
from diffseg_core.objects.object_finder import ObjectFinder
from diffseg_core.objects.prompts import Click
from diffseg_core.output.atomic_files import write_atomic

from .datasets.folder import ObjectFolder
from .results import markdown

CLICKS, BOXES = "clicks", "boxes"
OBJECT, COLOURS, ITSELF = "object", "colours alone", "the box itself"
LARGER = (0.0, 0.1, 0.2)  # by how much of the object's extent a box is moved out
WANTED = (0.85, 0.9)
SHOWN = (1, 3, 5)  # clicks after which the table has the IoU

Records = list[dict[str, Any]]


def evaluate_prompts(
    kind: str, folder: ObjectFolder, names: Sequence[str], segmenter: Segmenter
) -> Iterator[dict[str, Any]]:
    """Measure one image after the other.

    Args:
        kind: "clicks" or "boxes".
        folder: of the images.
        names: of those to measure.
        segmenter: captures the attention.

    Yields:
        for each image its name, and IoUs by method: of clicks after each, of boxes for each of `LARGER`; and
        the seconds of a click, or of a box.
    """
    for name in names:
        image, truth = folder.load(name)
        images = as_images(image)
        maps = segmenter.capture(images)
        tree = segment_hierarchy(maps, images).hierarchies[0]
        pixels = images.colours[0]
        finders = {
            OBJECT: ObjectFinder(tree, pixels),
            COLOURS: ObjectFinder(colour_tree(pixels), pixels, attention=False),
        }
        measure = _clicks if kind == CLICKS else _boxes
        yield {"image": name, **measure(truth, finders)}


def summary(kind: str, records: Records) -> str:
    """The table of all images, in Markdown."""
    if kind == BOXES:
        header = ["method", "tight box", *(f"{share:.0%} larger" for share in LARGER[1:]), "seconds"]
        rows = []
        for method in records[0]["ious"]:
            means = np.mean([each["ious"][method] for each in records], axis=0)
            rows.append([method, *(f"{mean:.3f}" for mean in means), _seconds(records, method)])
        return markdown(header, rows)
    header = ["method", *(f"NoC{wanted:.0%}".rstrip("%") for wanted in WANTED)]
    header += (
        [f"IoU after {count}" for count in SHOWN] + [f"never {wanted:.0%}" for wanted in WANTED] + ["s/click"]
    )
    rows = []
    for method in records[0]["ious"]:
        ious = [each["ious"][method] for each in records]
        needed = [f"{np.mean([clicks_needed(each, wanted) for each in ious]):.2f}" for wanted in WANTED]
        after = [f"{np.mean([each[count - 1] for each in ious]):.3f}" for count in SHOWN]
        never = [str(sum(max(each) < wanted for each in ious)) for wanted in WANTED]
        rows.append([method, *needed, *after, *never, _seconds(records, method)])
    return markdown(header, rows)


def write_prompt_results(folder: Path, kind: str, settings: Mapping[str, Any], records: Records) -> str:
    """Write ``results.json`` and ``table.md``; returns the table.

    Raises:
        OSError: a file cannot be written.
    """
    table = f"{kind}, {len(records):,} images\n\n{summary(kind, records)}\n"
    content = {
        "format": "diffseg-prompts",
        "version": 1,
        "kind": kind,
        "settings": settings,
        "images": records,
    }
    write_atomic(folder / "table.md", table.encode())
    write_atomic(folder / "results.json", (json.dumps(content, indent=1) + "\n").encode())
    return table


def _clicks(truth: Truth, finders: Mapping[str, ObjectFinder]) -> dict[str, Any]:
    ious, seconds = {}, {}
    for name, finder in finders.items():
        started = time.perf_counter()
        ious[name] = click_ious(partial(_mask, finder), truth)
        seconds[name] = (time.perf_counter() - started) / len(ious[name])
    return {"ious": ious, "seconds": seconds}


def _mask(finder: ObjectFinder, clicks: Sequence[Click]) -> Bitmap:
    return finder.find(clicks).mask


def _boxes(truth: Truth, finders: Mapping[str, ObjectFinder]) -> dict[str, Any]:
    ious: dict[str, list[float]] = {name: [] for name in (*finders, ITSELF)}
    seconds = dict.fromkeys(ious, 0.0)
    for larger in LARGER:
        box = box_of(truth, larger)
        itself = np.zeros(truth.mask.shape, dtype=bool)
        itself[box.y1 : box.y2, box.x1 : box.x2] = True
        ious[ITSELF].append(object_iou(itself, truth))
        for name, finder in finders.items():
            started = time.perf_counter()
            ious[name].append(object_iou(finder.find([box]).mask, truth))
            seconds[name] += (time.perf_counter() - started) / len(LARGER)
    return {"ious": ious, "seconds": seconds}


def _seconds(records: Records, method: str) -> str:
    return f"{np.mean([each['seconds'][method] for each in records]):.3f}"
