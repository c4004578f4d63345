"""Made-up self-attention that looks like a photograph's, at Stable Diffusion's four resolutions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SIDES = (64, 32, 16, 8)
REGIONS = 40
MATERIALS = 12
FLOOR = 0.1  # share of every row that is spread evenly
SHARPNESS = 11.0
SPREAD = 0.5  # weight of a token's place beside its colour


def scene_attention(seed: int = 0) -> dict[int, npt.NDArray[np.float32]]:
    """Attention of a scene of 40 irregular regions in 12 colours, with noise and shading.

    Every token has a feature f (colour and place), coarser resolutions the mean features of their tokens,
    and attention is softmax over j of f_i·f_j − ½|f_j|², mixed with a little evenly spread attention.

    Returns:
        for each side in 64, 32, 16, 8: float32 ``[side², side²]``, rows sum to 1.
    """
    generator = np.random.default_rng(seed)
    side = SIDES[0]
    places = np.stack(np.meshgrid(*[(np.arange(side) + 0.5) / side] * 2, indexing="ij"), axis=2)
    centres = generator.random((REGIONS, 2))
    warped = places + 0.04 * np.sin(places[..., ::-1] * 20.0)  # borders are not straight
    region = np.square(warped[:, :, None] - centres).sum(3).argmin(2)  # [64, 64]
    colours = generator.random((MATERIALS, 3))[generator.integers(MATERIALS, size=REGIONS)]
    shading = 0.15 * places @ generator.standard_normal((2, 3))
    noise = 0.03 * generator.standard_normal((side, side, 3))
    colour = colours[region] + shading + noise
    features = SHARPNESS * np.concatenate((colour - colour.mean((0, 1)), SPREAD * places), axis=2)
    return {coarse: _attention(_shrunk(features, side // coarse)) for coarse in SIDES}


def _shrunk(features: npt.NDArray[np.float64], ratio: int) -> npt.NDArray[np.float64]:
    height, width, channels = features.shape
    blocks = features.reshape(height // ratio, ratio, width // ratio, ratio, channels)
    return blocks.mean((1, 3)).reshape(-1, channels)


def _attention(features: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    scores = features @ features.T - 0.5 * np.square(features).sum(1)
    weights = np.exp(scores - scores.max(1, keepdims=True))
    weights *= (1.0 - FLOOR) / weights.sum(1, keepdims=True)
    return (weights + FLOOR / len(features)).astype(np.float32)
