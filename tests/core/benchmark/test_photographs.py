"""The photographs that come with DiffSeg, and the objects drawn in them."""

from __future__ import annotations

import numpy as np

from diffseg_core.benchmark.measures import VOID
from diffseg_core.benchmark.photographs import FOLDER, NAMES, read_photographs


def test_ten_photographs_with_two_to_four_objects_each():
    photographs = read_photographs()
    assert [photograph.name for photograph in photographs] == list(NAMES)
    for photograph in photographs:
        count = len(photograph.objects)
        assert 2 <= count <= 4
        assert max(photograph.images.size) == 640
        assert photograph.truth.shape == photograph.images.size
        assert np.unique(photograph.truth).tolist() == [VOID, *range(count)]
        assert min(photograph.mask(index).sum() for index in range(count)) > 5000


def test_every_photograph_is_credited():
    credits = (FOLDER / "CREDITS.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"| {name}.jpg |" in credits
    assert {file.stem for file in FOLDER.glob("*.jpg")} == set(NAMES)
