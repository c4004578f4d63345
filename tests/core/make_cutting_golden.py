"""Write the golden partitions of the normalised cut anew, with the authors' own code.

Run as `.venv/bin/python tests/core/make_cutting_golden.py FOLDER`, where FOLDER holds a clone of
https://github.com/PaulCouairon/DiffCut (MIT licence). Features of photographs are those of the demo model
(pip install -e .[diffusers]); with `--keep-features` the stored ones are used again.

Three partitions are stored of each map. `as_released` is what the code gives as it is, in float32, on the
CPU instead of a GPU. It marks nodes that it is done with by affinities of 0, and so also loses, below the
first cut, nodes with a real affinity of 0, such as the two that are least alike; it then leaves them on the
lower side of every cut, and the 100 thresholds lie elsewhere without them. `kept` says which nodes it did not
lose. `labels` is what the same code gives in float64 with real zeros replaced by 1e-300, so that none is
lost; `fine` the same at a higher threshold, where far more cuts follow each other.
"""

from __future__ import annotations

import argparse
import json
import sys
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path(__file__).parent / "golden" / "cutting"
ROOT = Path(__file__).resolve().parents[2]
THRESHOLD = 0.5
FINE = 0.8
POWER = 10
PHOTOGRAPHS = {
    "coffee": ROOT / "demo_model/photograph.jpg",
    "pagoda": ROOT / "tools/demo_photographs/pagoda.jpg",
    "dahlia": ROOT / "tools/demo_photographs/dahlia.jpg",
}

Features = np.ndarray  # float64 [height, width, C]


def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:height, :width]
    return (rows + 0.5) / height, (columns + 0.5) / width


def _of_regions(regions: np.ndarray, channels: int, noise: float, seed: int, common: float = 0.0) -> Features:
    """A random vector for each region, with noise at every node."""
    generator = np.random.default_rng(seed)
    means = generator.standard_normal((int(regions.max()) + 1, channels))
    means += common * generator.standard_normal(channels)
    return means[regions] + noise * generator.standard_normal((*regions.shape, channels))


def blobs() -> Features:
    """Two discs on a ground."""
    rows, columns = _grid(24, 24)
    regions = np.zeros((24, 24), dtype=int)
    regions[(rows - 0.3) ** 2 + (columns - 0.3) ** 2 < 0.04] = 1
    regions[(rows - 0.7) ** 2 + (columns - 0.65) ** 2 < 0.05] = 2
    return _of_regions(regions, 16, 0.35, seed=1, common=1.0)


def nested_blobs() -> Features:
    """A disc of two kinds on a ground of two kinds that are closer to each other."""
    rows, columns = _grid(28, 28)
    regions = (columns > 0.45).astype(int)
    disc = (rows - 0.5) ** 2 + (columns - 0.5) ** 2 < 0.08
    regions[disc] = 2 + (rows[disc] > 0.5)
    features = _of_regions(regions, 24, 0.3, seed=2)
    pair = _of_regions(regions // 2, 24, 0.0, seed=3)
    return features + 1.3 * pair


def gradient() -> Features:
    """A hue that turns slowly to the right, and a second one downwards."""
    rows, columns = _grid(24, 24)
    turns, downwards = 2.4 * columns + 0.3 * rows**2, 1.1 * rows
    return np.stack((np.cos(turns), np.sin(turns), 0.6 * np.cos(downwards), 0.6 * np.sin(downwards)), axis=2)


def checkerboard() -> Features:
    """Squares of two kinds by turns."""
    rows, columns = np.mgrid[:24, :24] // 4
    return _of_regions((rows + columns) % 2, 12, 0.3, seed=5, common=0.7)


def few_channels() -> Features:
    """Three channels, as colours: smooth waves of which four quarters are shifted."""
    rows, columns = _grid(32, 32)
    waves = [np.sin(3.0 * rows + 5.0 * columns + phase) for phase in (0.0, 1.7, 4.1)]
    quarters = (rows > 0.55).astype(int) + 2 * (columns > 0.4)
    means = np.array([[1.2, 0.3, 0.2], [0.3, 1.1, 0.4], [0.2, 0.5, 1.3], [0.9, 0.8, 0.2]])
    return means[quarters] + 0.25 * np.stack(waves, axis=2)


def many_channels() -> Features:
    """1280 channels, as SDXL has: five regions in noise that is smooth over neighbours."""
    from scipy.ndimage import gaussian_filter

    rows, columns = _grid(20, 20)
    centres = np.random.default_rng(6).random((5, 2))
    regions = ((rows[..., None] - centres[:, 0]) ** 2 + (columns[..., None] - centres[:, 1]) ** 2).argmin(2)
    features = _of_regions(regions, 1280, 0.5, seed=7, common=1.0)
    return gaussian_filter(features, (0.7, 0.7, 0.0))


def tall() -> Features:
    """A grid of 40×20: stripes whose ends are more alike than their neighbours."""
    rows, _ = _grid(40, 20)
    return _of_regions((rows * 6).astype(int) % 4, 20, 0.4, seed=8, common=0.9)


def wide() -> Features:
    """A grid of 12×44: a gradient with one thing in it."""
    rows, columns = _grid(12, 44)
    features = _of_regions(((rows - 0.5) ** 2 + 9 * (columns - 0.4) ** 2 < 0.1).astype(int), 8, 0.15, seed=9)
    return features + np.stack([np.cos(2.0 * columns + phase) for phase in range(8)], axis=2)


def _of_photograph(name: str) -> Callable[[], Features]:
    def stored() -> Features:
        with np.load(FOLDER / f"{name}.npz") as file:
            return file["features"].astype(np.float64)

    return stored


MAPS: dict[str, Callable[[], Features]] = {
    made.__name__: made
    for made in (blobs, nested_blobs, gradient, checkerboard, few_channels, many_channels, tall, wide)
} | {name: _of_photograph(name) for name in PHOTOGRAPHS}


@cache
def demo_features(name: str) -> np.ndarray:
    """The last self-attention of the demo model's middle encoder block: float16 ``[24, 24, 64]``."""
    from PIL import Image

    from diffseg_cli.batch.models import load_pipeline
    from diffseg_cli.batch.settings import ModelChoice
    from diffseg_core.diffusers.capture import capture_diffusers

    pipeline = load_pipeline(ModelChoice(device="cpu", precision="float32"))
    found: list[torch.Tensor] = []
    layer = pipeline.unet.down_blocks[1].attentions[-1].transformer_blocks[-1].attn1
    prompt = torch.zeros(1, 1, pipeline.unet.config.cross_attention_dim)
    with Image.open(PHOTOGRAPHS[name]) as photograph:
        pixels = photograph.convert("RGB").resize((384, 384), Image.Resampling.BOX)
    handle = layer.register_forward_hook(lambda _module, _inputs, output: found.append(output.detach()))
    try:
        capture_diffusers(pipeline, pixels, noise_level=50, working_size=384, prompt_embeds=prompt)
    finally:
        handle.remove()
    return found[0][0].view(24, 24, -1).half().numpy()


def authors_class(folder: Path) -> type[Any]:
    """The authors' class, from their file, with what asks for a GPU taken out."""
    source = (folder / "diffcut" / "recursive_normalized_cut.py").read_text().replace('.to("cuda")', "")
    # Of their tools it needs, for another step, one class alone; the rest asks for much to be installed.
    tools, utils = types.ModuleType("tools"), types.ModuleType("tools.utils")
    utils.MaskPooling = None  # type: ignore[attr-defined]
    module = types.ModuleType("authors")
    saved = {name: sys.modules.get(name) for name in ("tools", "tools.utils")}
    sys.modules.update({"tools": tools, "tools.utils": utils})
    try:
        exec(compile(source, "recursive_normalized_cut.py", "exec"), module.__dict__)
    finally:
        for name, before in saved.items():
            sys.modules.pop(name)
            if before is not None:
                sys.modules[name] = before
    return module.DiffCut


def without_zeros(cutter: type[Any]) -> type[Any]:
    """The authors' class, but real affinities of 0 do not count as those of nodes that are done with."""

    class WithoutZeros(cutter):  # type: ignore[misc]
        def get_masked_affinity_matrix(self, painting: Any, affinity: Any, mask: Any) -> Any:
            return super().get_masked_affinity_matrix(painting, affinity.clamp_min(1e-300), mask)

    return WithoutZeros


def partition(
    cutter: type[Any], features: torch.Tensor, dims: tuple[int, int], threshold: float = THRESHOLD
) -> np.ndarray:
    """The authors' labels of ``[n, C]``, in the precision of the features: int16 ``[height, width]``."""
    torch.set_default_dtype(features.dtype)
    try:
        clusters = cutter().recursive_ncut(features.T, tau=threshold, dims=dims, alpha=POWER)
        if not clusters:
            return np.zeros(dims, dtype=np.int16)
        return cutter().assemble_clusters(clusters, *dims).numpy().astype(np.int16)
    finally:
        torch.set_default_dtype(torch.float32)


def kept_nodes(features: torch.Tensor, dims: tuple[int, int]) -> np.ndarray:
    """The nodes that the authors' code, in float32, does not lose below its first cut: bool."""
    directions = torch.nn.functional.normalize(features.float().T, p=2, dim=0)
    affinity = directions.T @ directions
    affinity = (affinity - affinity.min()) / (affinity.max() - affinity.min())
    return (affinity**POWER != 0).all(1).view(dims).numpy()


def main() -> None:
    """Write one file for each map."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("authors", type=Path, help="folder of the authors' repository")
    parser.add_argument("--keep-features", action="store_true", help="do not run the demo model again")
    arguments = parser.parse_args()
    cutter = authors_class(arguments.authors)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in MAPS.items():
        stored: dict[str, np.ndarray] = {}
        if name in PHOTOGRAPHS:
            stored["features"] = make().astype(np.float16) if arguments.keep_features else demo_features(name)
            values = stored["features"].astype(np.float64)
        else:
            values = make()
        height, width, channels = values.shape
        features = torch.from_numpy(values.reshape(-1, channels))
        labels = partition(without_zeros(cutter), features, (height, width))
        fine = partition(without_zeros(cutter), features, (height, width), FINE)
        released = partition(cutter, features.float(), (height, width))
        kept = kept_nodes(features, (height, width))
        meta = {"map": name, "threshold": THRESHOLD, "fine": FINE, "power": POWER}
        print(
            f"{name}: {height}×{width}×{channels}, {labels.max() + 1} parts, {fine.max() + 1} fine ones, as "
            f"released {released.max() + 1}, {(~kept).sum()} nodes lost"
        )
        stored |= {"labels": labels, "fine": fine, "as_released": released, "kept": kept}
        np.savez_compressed(FOLDER / f"{name}.npz", meta=json.dumps(meta), **stored)


if __name__ == "__main__":
    main()
