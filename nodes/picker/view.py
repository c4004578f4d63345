"""What the picker in the browser shows: an image, and which segment every pixel belongs to."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ...diffseg_core import GridSize
from ...diffseg_core.image.pyramid import eight_bits, sampled, shown_size
from ...diffseg_core.objects.object_finder import ObjectFinder
from ...diffseg_core.output.export import MAX_SEGMENTS, id_pixels
from ...diffseg_core.output.poles import poles_of_inaccessibility
from .shown_files import temporary_file

VERSION = 3  # of what web/PROTOCOL.md says, as in web/picker/picker.mjs
SUBFOLDER = "diffseg"
FACTS = "diffseg"  # keyword of the PNG's text chunk
MAX_TABLE = 3000  # leaves whose tables are sent: two of this square, 36 MB


def picker_view(
    labels: torch.Tensor, image: torch.Tensor, joins: torch.Tensor | None = None
) -> dict[str, Any]:
    """Write an image and its segments to ComfyUI's temporary folder, and name the files for the browser.

    The files are named by what is in them: after a click nothing is written again, and the browser has
    them already.

    Args:
        labels: int32 ``[H, W]``, −1 where no segment is.
        image: float32 ``[H, W, 3]`` in 0..1.
        joins: of a tree whose leaves the labels are, `Hierarchy.joins`.

    Returns:
        ``picture``, a JPEG, and ``ids``, a 16-bit grey PNG of segment number + 1 (0 for no segment) with
        a text chunk ``diffseg``: JSON of the image's ``size``, each segment's ``areas`` in pixels and
        ``poles`` ``[x, y]``, and of the ``joins``, if there are any. Both as entries for ComfyUI's
        ``/view``, and smaller than the image where that is too large for browsers. Of more segments than
        the PNG can number there is only ``too_many``, their number.
    """
    count = int(labels.max()) + 1
    if count > MAX_SEGMENTS:
        return {"too_many": count}
    height, width = labels.shape
    rows, columns = shown_size(GridSize(height, width))
    pairs = None if joins is None else joins.tolist()
    pixel_labels = labels.cpu().numpy()
    ids = id_pixels(torch.from_numpy(sampled(pixel_labels, GridSize(rows, columns))))
    path, entry = _named_by_content(ids, "png", json.dumps([height, width, pairs]))
    if not path.is_file():
        _write(path, ids, compress_level=1, pnginfo=_facts(pixel_labels, pairs))
    pixels = eight_bits(image, GridSize(rows, columns))
    shown, shown_entry = _named_by_content(pixels, "jpg")
    if not shown.is_file():
        _write(shown, pixels, quality=92, subsampling=0)
    return {"ids": entry, "picture": shown_entry}


def object_view(finder: ObjectFinder, heights: torch.Tensor) -> dict[str, Any]:
    """Write what the picker needs to find objects by itself, beside what `picker_view` writes of a tree.

    Args:
        finder: of the image.
        heights: of the tree, `Hierarchy.heights`.

    Returns:
        ``graph``, a 16-bit grey PNG with the tables of the leaf graph and a text chunk ``diffseg`` of its
        borders and the heights, and ``colours``, a PNG. Nothing where there are too many leaves to send.
    """
    graph = finder.graph
    if len(graph.areas) > MAX_TABLE:
        return {}
    tables = np.concatenate((graph.arrivals, graph.distances))
    columns = (graph.lengths, graph.steps, graph.conductances)
    borders = [
        [*ends, *facts]
        for ends, *facts in zip(graph.borders.tolist(), *(each.tolist() for each in columns), strict=True)
    ]
    facts = json.dumps({"borders": borders, "heights": heights.tolist()})
    path, entry = _named_by_content(tables, "png", facts)
    if not path.is_file():
        chunk = PngInfo()
        chunk.add_text(FACTS, facts)
        _write(path, tables, compress_level=1, pnginfo=chunk)
    colours, colours_entry = _named_by_content(finder.colours.values, "png")
    if not colours.is_file():
        _write(colours, finder.colours.values, compress_level=1)
    return {"graph": entry, "colours": colours_entry}


def _facts(labels: npt.NDArray[np.int32], joins: list[list[int]] | None) -> PngInfo:
    poles = poles_of_inaccessibility(labels)
    height, width = labels.shape
    facts: dict[str, Any] = {
        "size": [width, height],
        "areas": np.bincount(labels[labels >= 0], minlength=len(poles)).tolist(),
        "poles": [[pole.x, pole.y] for pole in poles],
    }
    if joins is not None:
        facts["joins"] = joins
    chunk = PngInfo()
    chunk.add_text(FACTS, json.dumps(facts))
    return chunk


def _named_by_content(
    pixels: npt.NDArray[Any], extension: str, facts: str = ""
) -> tuple[Path, dict[str, str]]:
    """Where an image of these pixels and facts belongs, and that place as an entry for ``/view``."""
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=16)
    digest.update(repr((pixels.shape, facts)).encode())
    name = f"{digest.hexdigest()}.{extension}"
    entry = {"filename": name, "subfolder": SUBFOLDER, "type": "temp"}
    return temporary_file(entry), entry


def _write(path: Path, pixels: npt.NDArray[Any], **options: Any) -> None:
    """Save the image in one move: whoever asks for it meanwhile gets all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial{path.suffix}")
    Image.fromarray(pixels).save(partial, **options)
    partial.replace(path)
