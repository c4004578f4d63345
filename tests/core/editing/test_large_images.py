"""Refined edges and soft masks of images larger than 512×512, which are worked at from a reduction up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from diffseg_core import GridSize, Segments, refine_edges, segment_hierarchy, soft_masks
from diffseg_core.editing import soft_masks as soft
from diffseg_core.image.pyramid import sampled, sizes_up_to
from diffseg_core.progress import callbacks
from diffseg_core.segments import order_by_area


def segments_of(labels: torch.Tensor) -> Segments:
    ordered, _ = order_by_area(labels, torch.zeros(int(labels.max()) + 1, 1, 1))
    return Segments(ordered[None], ())


def scene(height: int, width: int, grain: float = 0.02) -> tuple[torch.Tensor, torch.Tensor]:
    """A disc, a bar and the ground: the true labels, and an image with grain."""
    rows, columns = torch.arange(height)[:, None] / height, torch.arange(width)[None] / width
    truth = torch.zeros(height, width, dtype=torch.int32)
    truth[(rows - 0.4) ** 2 + (columns - 0.35) ** 2 < 0.05] = 1
    truth[((columns - 0.8).abs() < 0.08) & ((rows - 0.5).abs() < 0.35)] = 2
    colours = torch.tensor([[0.3, 0.5, 0.4], [0.7, 0.4, 0.3], [0.5, 0.6, 0.8]])
    noise = torch.randn(height, width, 3, generator=torch.Generator().manual_seed(0))
    return truth, (colours[truth.long()] + grain * noise).clamp(0, 1)


@pytest.mark.parametrize("size", [(800, 1000), (1500, 1700)], ids=str)
def test_borders_of_coarse_segments_come_to_lie_on_the_edges(size):
    truth, image = scene(*size, grain=0.002)
    coarse = F.interpolate(F.one_hot(truth.long()).movedim(-1, 0)[None].float(), (20, 24), mode="area")
    labels = F.interpolate(coarse, size, mode="bilinear").argmax(1)[0].int()
    before = (labels != truth).float().mean()
    found = refine_edges(segments_of(labels), image[None])
    expected = segments_of(truth).labels
    after = (found.labels != expected).float().mean()
    assert before > 0.008
    assert after < before / 2  # around corners a border can come to lie one pixel beside the edge


def test_what_no_pixel_of_the_reduction_shows_keeps_its_pixels():
    truth, image = scene(1200, 1300)
    places = torch.arange(1200 * 1300).view(1200, 1300).numpy()
    seen = np.isin(places, sampled(places, sizes_up_to(GridSize(1200, 1300))[0]))
    labels = truth.clone()
    row, column = next((row, column) for row, column in np.argwhere(~seen) if row > 1000 and column > 900)
    labels[row, column] = 3
    labels[40:43, 30:33] = 3  # of which the reduction shows some
    found = refine_edges(segments_of(labels), image[None])
    assert found.counts == [4]
    assert found.labels[0, row, column] == 3
    neighbours = found.labels[0, row - 1 : row + 2, column - 1 : column + 2]
    assert (neighbours == 3).sum() == 1


@pytest.mark.parametrize("size", [(1100, 1200), (1201, 1100)], ids=str)
def test_soft_masks_of_a_large_image_are_much_those_of_the_filter_at_full_size(monkeypatch, size):
    truth, image = scene(*size)
    segments = segments_of(truth)
    quick = soft_masks(segments, image[None])
    monkeypatch.setattr(soft, "enlargement", lambda size: 1.0)
    exact = soft_masks(segments, image[None])
    assert (quick - exact).abs().mean() < 0.003
    assert (quick - exact).abs().max() < 0.25
    torch.testing.assert_close(quick.sum(0), torch.ones(*size), rtol=0, atol=1e-5)


def test_pixels_far_from_every_border_are_sure():
    truth, image = scene(1100, 1200)
    masks = soft_masks(segments_of(truth), image[None])
    assert masks[1, 440, 420] == pytest.approx(1, abs=0.02)  # the middle of the disc
    assert masks[0, 1090, 10] == pytest.approx(1, abs=0.02)
    assert masks[2, 440, 420] == 0


@pytest.mark.parametrize("after", [0, 3])
def test_every_long_step_asks_whether_to_go_on(after, attention_maps):
    truth, image = scene(600, 700)
    segments = segments_of(truth)

    class StopError(Exception):
        pass

    def stopper():
        calls = iter(range(after))

        def stop() -> None:
            if next(calls, None) is None:
                raise StopError

        return stop

    for work in (
        lambda: refine_edges(segments, image[None]),
        lambda: soft_masks(segments, image[None]),
        lambda: segment_hierarchy(attention_maps, image[None]),
    ):
        with pytest.raises(StopError), callbacks(stopper()):
            work()


@pytest.fixture
def attention_maps():
    from diffseg_core import AttentionMaps

    features = torch.rand(64, 3, generator=torch.Generator().manual_seed(1)) * 4
    return AttentionMaps({(8, 8): torch.softmax(features @ features.T, dim=-1)[None]})


def test_a_thin_line_of_a_large_image_stays():
    labels = torch.zeros(1300, 1300, dtype=torch.int32)
    labels[200:1100, 640:652] = 1  # 12 pixels: under 5 at the reduction
    image = torch.full((1, 1300, 1300, 3), 0.4)
    image[0, 200:1100, 640:652] = 0.8
    found = refine_edges(segments_of(labels), image).labels[0]
    assert (found[210:1090, 644:648] == 1).all()
    assert (found[:, :636] == 0).all()
    assert (found[:, 656:] == 0).all()
