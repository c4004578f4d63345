"""Made-up self-attention that looks like a photograph's, at a Stable Diffusion model's four resolutions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RATIOS = (1, 2, 4, 8)  # of the finest resolution to each
MATERIALS = 12
FLOOR = 0.1  # share of every row that is spread evenly
SHARPNESS = 11.0
SPREAD = 0.5  # weight of a token's place beside its colour
MAX_KEYS = 64 * 64
CHUNK_VALUES = 2**24  # of the attention that is computed at a time: 128 MB of float64


@dataclass(frozen=True)
class Scene:
    """What there is to see, and on how fine a grid.

    The same regions lie in the same places on every grid.

    Attributes:
        height, width: of the finest grid, in tokens; multiples of 8.
        regions: irregular, in 12 colours, with noise and shading.
        seed: of everything that is drawn by lot.
    """

    height: int = 64
    width: int = 64
    regions: int = 40
    seed: int = 0


def scene_attention(scene: Scene) -> dict[tuple[int, int], npt.NDArray[np.floating]]:
    """Attention of a scene at four resolutions, each with half the sides of the one before.

    Every token has a feature f (colour and place), coarser resolutions the mean features of their tokens,
    and attention is softmax over j of f_i·f_j − ½|f_j|², mixed with a little evenly spread attention.

    Returns:
        ``{(h, w): float32 [h*w, h*w]}``, rows sum to 1. Beyond 64×64 tokens, as the capture has it: keys
        pooled by the smallest whole factor that leaves 4,096 of them or fewer, in float16.
    """
    generator = np.random.default_rng(scene.seed)
    grid = (scene.height, scene.width)
    sides = [(np.arange(length) + 0.5) / length for length in grid]
    places = np.stack(np.meshgrid(*sides, indexing="ij"), axis=2)
    centres = generator.random((scene.regions, 2))
    warped = places + 0.04 * np.sin(places[..., ::-1] * 20.0)  # borders are not straight
    region = np.square(warped[:, :, None] - centres).sum(3).argmin(2)  # [h, w]
    colours = generator.random((MATERIALS, 3))[generator.integers(MATERIALS, size=scene.regions)]
    shading = 0.15 * places @ generator.standard_normal((2, 3))
    noise = 0.03 * generator.standard_normal((*grid, 3))
    colour = colours[region] + shading + noise
    features = SHARPNESS * np.concatenate((colour - colour.mean((0, 1)), SPREAD * places), axis=2)
    return {
        (scene.height // ratio, scene.width // ratio): _attention(
            _shrunk(features, ratio), (scene.height // ratio, scene.width // ratio)
        )
        for ratio in RATIOS
    }


def _shrunk(features: npt.NDArray[np.float64], ratio: int) -> npt.NDArray[np.float64]:
    height, width, channels = features.shape
    blocks = features.reshape(height // ratio, ratio, width // ratio, ratio, channels)
    return blocks.mean((1, 3)).reshape(-1, channels)


def _attention(features: npt.NDArray[np.float64], grid: tuple[int, int]) -> npt.NDArray[np.floating]:
    """``[n, channels]`` to ``[n, keys]``, a few rows at a time."""
    tokens, (height, width) = len(features), grid
    factor = next(
        factor
        for factor in range(1, tokens + 1)
        if height % factor == width % factor == 0 and tokens // factor**2 <= MAX_KEYS
    )
    attention = np.empty((tokens, tokens // factor**2), np.float32 if factor == 1 else np.float16)
    half_square = 0.5 * np.square(features).sum(1)
    rows = max(1, CHUNK_VALUES // tokens)
    for start in range(0, tokens, rows):
        scores = features[start : start + rows] @ features.T - half_square
        weights = np.exp(scores - scores.max(1, keepdims=True))
        weights *= (1.0 - FLOOR) / weights.sum(1, keepdims=True)
        weights += FLOOR / tokens
        cells = weights.reshape(-1, height // factor, factor, width // factor, factor)
        attention[start : start + rows] = cells.sum((2, 4)).reshape(len(weights), -1)
    return attention
