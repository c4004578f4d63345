"""The picker finds the very objects that the node gives."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from diffseg_tools.javascript import program
from skimage import data

SCRIPT = Path(__file__).resolve().parents[1] / "web" / "find_objects.mjs"
SEQUENCES = [15, pytest.param(70, marks=pytest.mark.exhaustive)]  # of prompts, each


def attention_of(pixels: np.ndarray, cells: int, generator: np.random.Generator) -> torch.Tensor:
    """Made-up attention of a photograph: tokens look at tokens of like colour and near place."""
    rows, columns = (np.linspace(0, side - 1, cells).astype(int) for side in pixels.shape[:2])
    colours = pixels[rows][:, columns].reshape(-1, 3) / 255.0
    places = np.stack(np.meshgrid(*[np.linspace(0, 1, cells)] * 2, indexing="ij"), -1).reshape(-1, 2)
    places = places + 0.01 * generator.standard_normal(places.shape)
    apart = [((each[:, None] - each) ** 2).sum(-1) for each in (colours, places)]
    attention = np.exp(-apart[0] / 0.02 - apart[1] / 0.05) + 1e-4
    return torch.from_numpy(attention / attention.sum(1, keepdims=True)).float()[None]


def prompts_in(size: tuple[int, int], generator: np.random.Generator) -> list[dict]:
    """One to six prompts of all kinds, some of them outside the image, some beside one before."""
    height, width = size
    prompts: list[dict] = []

    def place() -> tuple[int, int]:
        x, y = (int(generator.integers(-5, side + 5)) for side in (width, height))
        clicks = [each for each in prompts if "x" in each]
        if clicks and generator.random() < 0.3:
            near, reach = clicks[generator.integers(len(clicks))], int(generator.integers(0, 9))
            x, y = (near[axis] + int(generator.integers(-reach, reach + 1)) for axis in ("x", "y"))
        return x, y

    for _ in range(generator.integers(1, 7)):
        kind, label = generator.random(), int(generator.random() < 0.65)
        if kind < 0.65:
            x, y = place()
            prompt = {"x": x, "y": y}
            if generator.random() < 0.2:
                prompt["size"] = int(generator.integers(-3, 4))
        elif kind < 0.85:
            (x, y), width_, height_ = place(), *generator.integers(2, max(size) // 2, 2).tolist()
            prompt = {"box": [x, y, x + width_, y + height_]}
        else:
            prompt = {"stroke": [place() for _ in range(generator.integers(1, 5))]}
        prompts.append({**prompt, "label": label})
    return prompts


def on_cells(prompts: list[dict], size: tuple[int, int], cells: tuple[int, int]) -> list[dict]:
    """The same where an image is shown smaller: clicks on pixels that are shown, as the picker makes them."""

    def shown(pixel: int, pixels: int, count: int) -> int:
        return (2 * ((2 * pixel + 1) * count // (2 * pixels)) + 1) * pixels // (2 * count)

    axes = dict(zip("yx", zip(size, cells, strict=True), strict=True))
    return [
        {**each, **{axis: shown(each[axis], *axes[axis]) for axis in "xy"}} if "x" in each else each
        for each in prompts
    ]


@pytest.mark.parametrize("count", SEQUENCES)
@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "astronaut"])
def test_the_picker_finds_what_the_node_gives(pack, tmp_path, name, count, monkeypatch):
    if name == "astronaut":
        monkeypatch.setattr(pack.diffseg_core.image.pyramid, "MAX_SIDE", 200)
    core, generator = pack.diffseg_core, np.random.default_rng(len(name))
    pixels = getattr(data, name)()[:, :, :3]
    image = torch.from_numpy(pixels.copy()).float()[None] / 255.0
    maps = core.AttentionMaps({(32, 32): attention_of(pixels, 32, generator)})
    tree = core.segment_hierarchy(maps, image).hierarchies[0]
    if name == "rocket":  # of a part of the image, as Filter Segments leaves it
        tree = core.Segments.of_hierarchies([tree], [12]).subset([[0, 2, 3, 5]]).hierarchies[0]
    finder = pack.diffseg_core.objects.object_finder.ObjectFinder(
        tree, None if name == "coffee" else image[0]
    )
    view = pack.nodes.picker.view
    files = view.picker_view(tree.leaves, image[0], tree.joins)
    files["objects"] = view.objects_file(finder, tree)
    for key in ("segments", "objects"):
        shutil.copy(view.temporary_file(files[key]), tmp_path / f"{key}.bin")
    size = pixels.shape[:2]
    cells = tuple(core.image.pyramid.shown_size(core.GridSize(*size)))
    sequences = [on_cells(prompts_in(size, generator), size, cells) for _ in range(count)]
    (tmp_path / "sequences.json").write_text(json.dumps(sequences))

    answer = subprocess.run([program("node"), SCRIPT, tmp_path], capture_output=True, text=True, check=False)
    assert not answer.returncode, answer.stderr
    theirs = np.fromfile(tmp_path / "masks.bin", dtype=np.uint8).reshape(count, *cells)
    masks = [finder.find(core.parse_prompts(prompts)).mask for prompts in sequences]
    ours = [core.image.pyramid.sampled(mask, cells) for mask in masks]
    for prompts, mask, other in zip(sequences, ours, theirs, strict=True):
        assert np.array_equal(mask, other), (int((mask != other).sum()), prompts)
    covered = [mask.mean() for mask in ours]
    assert len({round(share, 4) for share in covered}) > count / 4  # these are not all or nothing
