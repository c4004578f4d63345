"""The made-up attention that is segmented."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffseg_benchmarks import synthetic
from diffseg_benchmarks.synthetic import Scene, scene_attention

from diffseg_core import AttentionMaps


@pytest.mark.parametrize(("height", "width"), [(16, 16), (8, 24)])
def test_a_scene_is_attention_at_four_resolutions(height: int, width: int) -> None:
    maps = scene_attention(Scene(height, width))
    assert list(maps) == [(height // ratio, width // ratio) for ratio in (1, 2, 4, 8)]
    for (rows, columns), map_ in maps.items():
        assert map_.shape == (rows * columns,) * 2
        assert map_.dtype == np.float32
        assert map_.min() > 0
        np.testing.assert_allclose(map_.sum(1), 1.0, rtol=1e-5)


def test_the_size_of_the_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scene_attention(Scene(16, 16))[16, 16]
    monkeypatch.setattr(synthetic, "CHUNK_VALUES", 1000)  # 3 rows of 256
    np.testing.assert_allclose(scene_attention(Scene(16, 16))[16, 16], whole, rtol=1e-6)


def test_beyond_64_by_64_tokens_keys_are_pooled_as_in_a_capture() -> None:
    maps = scene_attention(Scene(72, 64))
    assert maps[72, 64].shape == (72 * 64, 36 * 32)
    assert maps[72, 64].dtype == np.float16
    assert AttentionMaps({grid: torch.from_numpy(map_)[None] for grid, map_ in maps.items()}).key_grid == (
        36,
        32,
    )
