"""The contrast of borders, at the start and as segments join."""

from __future__ import annotations

import numpy as np
import torch

from diffseg_core.picture.boundary_contrast import Contrast


def test_contrast_is_the_mean_over_a_border_and_joins_add_up():
    picture = torch.zeros(2, 6, 3)
    picture[:, 2:4] = 0.1
    picture[:, 4:] = 0.5
    segments = torch.tensor([[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 3, 3]], dtype=torch.int32)
    contrast = Contrast(picture, segments, weight=1.0)
    assert contrast.touching.sum() == 2 * 4  # 0-1, 1-2, 1-3, 2-3
    factors = contrast.factors()
    np.testing.assert_allclose(factors[1, 2] / factors[0, 1], 4.0, rtol=1e-5)
    assert contrast.join(2, 3).tolist() == [1]
    np.testing.assert_allclose(contrast.factors(2, np.array([1])), factors[1, 2])
