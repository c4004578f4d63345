"""What the picker in the browser gets of every image, and what finds objects in it, kept with it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ...diffseg_core import GridSize, Hierarchy, Images, callbacks
from ...diffseg_core.image.pyramid import eight_bits, sampled, shown_size
from ...diffseg_core.images import matching_images
from ...diffseg_core.objects import click_nodes, leaf_graph, markov_maps, object_finder
from ...diffseg_core.objects.object_finder import ObjectFinder
from ...diffseg_core.output.export import MAX_SEGMENTS, id_pixels
from ...diffseg_core.output.poles import poles_of_inaccessibility
from ..progress import stop_if_interrupted
from ..types import CapturedSegments
from .shown_files import temporary_file
from .tables import packed

VERSION = 4  # of what web/PROTOCOL.md says, as in web/picker/picker.mjs
SUBFOLDER = "diffseg"
MAX_IMAGES = 16  # of a batch that the picker gets; of a longer one it gets the image at hand
MAX_TABLE = 3000  # leaves whose tables are sent: two of this square, 36 MB

CONSTANTS = {
    "memory": object_finder.MEMORY,
    "new": object_finder.NEW,
    "likeness": object_finder.LIKENESS,
    "in_box": object_finder.IN_BOX,
    "closest": object_finder.CLOSEST,
    "crossed": object_finder.CROSSED,
    "thresholds": object_finder.THRESHOLDS,
    "filling": object_finder.FILLING,
    "colour_reach": object_finder.COLOUR_REACH,
    "largest_part": click_nodes.LARGEST,
    "largest_map": markov_maps.LARGEST,
    "never": markov_maps.NEVER,
    "most_maps": markov_maps.MOST,
    "least": markov_maps.LEAST,
    "decimals": leaf_graph.DECIMALS,
}

Entry = dict[str, str]  # for ComfyUI's `/view`


@dataclass
class KeptFinder:
    """The finder of one image, and the file of what the picker finds objects with, once it is written."""

    made_with: weakref.ref[torch.Tensor]  # by which it is known again, and not kept
    finder: ObjectFinder
    file: Entry | None = None


def kept_finder(captured: CapturedSegments, images: Images | None, image_index: int) -> KeptFinder:
    """The finder of one image, made where none is kept that was made with this image, or without one.

    Args:
        captured: segments with a hierarchy.
        images: those of the capture, checked; None where there is none.
        image_index: which of them.
    """
    segments, image = captured.segments, captured.capture.image
    key = (kept_finder, image_index)
    made_with = segments.labels if image is None else image
    kept: KeptFinder | None = segments.kept.get(key)
    if kept is None or kept.made_with() is not made_with:
        pixels = None if images is None else matching_images(images, segments)[image_index]
        tree = segments.hierarchies[image_index]
        with callbacks(stop_if_interrupted):
            kept = KeptFinder(weakref.ref(made_with), ObjectFinder(tree, pixels))
        segments.kept[key] = kept
    return kept


def picker_pictures(
    captured: CapturedSegments,
    images: Images | None,
    drawn: torch.Tensor,
    image_index: int,
    words: list[dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """The entries of ``pictures`` in `web/PROTOCOL.md`.

    Segments with a tree go to it as that tree, whatever the cut is: it makes every cut by itself. What it
    takes to find objects goes for the image at hand alone.

    Args:
        captured: segments of the batch.
        images: those of the capture, checked; None where there is none.
        drawn: float32 ``[B, H, W, 3]`` in 0..1, what is shown.
        image_index: the image at hand.
        words: what became of words in that image.
    """
    segments = captured.segments
    few = segments.batch_size <= MAX_IMAGES
    views: dict[str, dict[str, Any]] = {}
    for index in range(segments.batch_size) if few else [image_index]:
        if not segments.hierarchies:
            views[str(index)] = picker_view(segments.labels[index], drawn[index])
            continue
        tree = segments.hierarchies[index]
        view = {**picker_view(tree.leaves, drawn[index], tree.joins), "given": segments.counts[index]}
        if index == image_index and "segments" in view and 0 < tree.count <= MAX_TABLE:
            kept = kept_finder(captured, images, index)
            if kept.file is None or not temporary_file(kept.file).is_file():
                kept.file = objects_file(kept.finder, tree)
            view["objects"] = kept.file
        if index == image_index and "segments" in view and words:
            view["words"] = words
        views[str(index)] = view
    return views


def picker_view(
    labels: torch.Tensor, image: torch.Tensor, joins: torch.Tensor | None = None
) -> dict[str, Any]:
    """Write an image and its segments to ComfyUI's temporary folder, and name the files for the browser.

    Args:
        labels: int32 ``[H, W]``, −1 where no segment is.
        image: float32 ``[H, W, 3]`` in 0..1.
        joins: of a tree whose leaves the labels are, `Hierarchy.joins`.

    Returns:
        ``picture``, a JPEG, and ``segments``, tables of segment number + 1 (0 for no segment) of its pixels
        and of what each segment is; both smaller than the image where that is too large for browsers. Of
        more segments than 16 bits can number there is only ``too_many``, their number.
    """
    count = int(labels.max()) + 1
    if count > MAX_SEGMENTS:
        return {"too_many": count}
    height, width = labels.shape
    shown = shown_size(GridSize(height, width))
    pixel_labels = labels.cpu().numpy()
    ids = id_pixels(torch.from_numpy(sampled(pixel_labels, shown)))
    tree = {} if joins is None else {"joins": joins.cpu().numpy().astype(np.int32)}

    def segments() -> bytes:
        poles = poles_of_inaccessibility(pixel_labels)
        facts = {
            "areas": np.bincount(pixel_labels[pixel_labels >= 0], minlength=len(poles)).astype(np.int32),
            "poles": np.array([[pole.x, pole.y] for pole in poles], np.int32).reshape(-1, 2),
        }
        return packed({"size": [width, height]}, {"ids": ids, **facts, **tree})

    pixels = eight_bits(image, shown)

    def picture() -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=92, subsampling=0)
        return file.getvalue()

    return {
        "segments": _stored("bin", segments, [height, width], ids, *tree.values()),
        "picture": _stored("jpg", picture, [], pixels),
    }


def objects_file(finder: ObjectFinder, tree: Hierarchy) -> Entry:
    """Write what the picker needs to find objects by itself, beside what `picker_view` writes of a tree.

    Args:
        finder: of the image.
        tree: of the image, of at most `MAX_TABLE` leaves.
    """
    graph = finder.graph
    arrays: dict[str, npt.NDArray[Any]] = {
        "arrivals": graph.arrivals,
        "distances": graph.distances,
        "heights": tree.heights.cpu().numpy().astype(np.float64),
        "borders": graph.borders.astype(np.int32),
        "lengths": graph.lengths.astype(np.float64),
        "steps": graph.steps.astype(np.float64),
        "conductances": graph.conductances,
        "colours": finder.colours.values,
    }
    return _stored("bin", lambda: packed({"constants": CONSTANTS}, arrays), CONSTANTS, *arrays.values())


def _stored(extension: str, content: Callable[[], bytes], facts: Any, *arrays: npt.NDArray[Any]) -> Entry:
    """A file, named by what it is made from: after a click nothing is written again.

    Args:
        extension: of its name.
        content: makes it, if it is not there yet.
        facts: of JSON, that it is made from.
        arrays: that it is made from.
    """
    digest = hashlib.blake2b(json.dumps([VERSION, facts]).encode(), digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    entry = {"filename": f"{digest.hexdigest()}.{extension}", "subfolder": SUBFOLDER, "type": "temp"}
    path = temporary_file(entry)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.stem}.{os.getpid()}.partial{path.suffix}")
        partial.write_bytes(content())
        partial.replace(path)  # in one move: whoever asks for it meanwhile gets all of it or nothing
    return entry
