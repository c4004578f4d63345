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
import torch.nn.functional as F
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..diffseg_core import GridSize
from ..diffseg_core.image.pyramid import sampled
from ..diffseg_core.output.export import MAX_SEGMENTS, id_pixels
from ..diffseg_core.output.poles import poles_of_inaccessibility
from .shown_files import temporary_file

VERSION = 1  # of what web/PROTOCOL.md says, as in web/picker/picker.mjs
SUBFOLDER = "diffseg"
FACTS = "diffseg"  # keyword of the PNG's text chunk
# Of what is sent to the browser. JPEG ends at 65,500 pixels a side and browsers' canvases at 16,384; already
# before that a person would wait for the files, and the browser's tab run out of memory.
MAX_SIDE = 8192
MAX_PIXELS = 2**25


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
    rows, columns = shown_size(height, width)
    pairs = None if joins is None else joins.tolist()
    pixel_labels = labels.cpu().numpy()
    ids = id_pixels(torch.from_numpy(sampled(pixel_labels, GridSize(rows, columns))))
    path, entry = _named_by_content(ids, "png", json.dumps([height, width, pairs]))
    if not path.is_file():
        _write(path, ids, compress_level=1, pnginfo=_facts(pixel_labels, pairs))
    if (rows, columns) != (height, width):
        image = F.interpolate(image.permute(2, 0, 1)[None], (rows, columns), mode="area")[0].permute(1, 2, 0)
    pixels = image.mul(255).round_().clamp_(0, 255).to(device="cpu", dtype=torch.uint8).numpy()
    shown, shown_entry = _named_by_content(pixels, "jpg")
    if not shown.is_file():
        _write(shown, pixels, quality=92, subsampling=0)
    return {"ids": entry, "picture": shown_entry}


def shown_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns in which an image is sent to the browser: its own where that is not too much."""
    scale = min(1.0, MAX_SIDE / max(height, width), (MAX_PIXELS / (height * width)) ** 0.5)
    return max(1, int(height * scale)), max(1, int(width * scale))


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
