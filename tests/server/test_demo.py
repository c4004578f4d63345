"""`make demo`: each photograph gives an overlay, masks that fill it, and a cut-out of what is clicked."""

from __future__ import annotations

import json

import numpy as np
import pytest
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.demo import DEMONSTRATIONS, TILE, WORKFLOW, contact_sheet, images_of, prompt_of
from PIL import Image

# Outside of what is cut out, x and y: a corner of the table, the sky, the leaves behind the flower.
BESIDE = {"coffee": (560, 30), "pagoda": (500, 60), "dahlia": (40, 40)}


@pytest.mark.parametrize("name", DEMONSTRATIONS)
def test_a_demonstration_cuts_out_what_is_clicked(comfy_server: ComfyServer, name: str) -> None:
    demonstration = DEMONSTRATIONS[name]
    comfy_server.upload_image(demonstration.photograph)
    workflow = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    prompt = prompt_of(workflow, comfy_server.object_info(), demonstration)
    images = images_of(comfy_server, prompt)
    with Image.open(demonstration.photograph) as photograph:
        size = photograph.size
    (overlay,), (cutout,) = images["overlay"], images["cutout"]
    assert overlay.size == cutout.size == size
    masks = np.stack([np.asarray(mask)[..., 0] for mask in images["mask"]]) == 255
    assert (masks.sum(0) == 1).all()
    assert len(masks) == (demonstration.number or len(masks))
    inside = np.asarray(cutout)[..., 3] == 255
    assert all(inside[y, x] for x, y in demonstration.points)
    x, y = BESIDE[name]
    assert not inside[y, x]
    assert 0.05 < inside.mean() < 0.6

    sheet = contact_sheet([[overlay, cutout], [overlay, cutout]])
    assert sheet.size == (2 * TILE, 2 * round(TILE * size[1] / size[0]))
    assert sheet.getpixel((TILE + x * TILE // size[0], y * TILE // size[0])) == (255, 255, 255)
