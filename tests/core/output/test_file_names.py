"""Names for files: what is filled in, and what is refused."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from diffseg_core import InvalidSettingError
from diffseg_core.output.file_names import check_lengths, check_prefix, fill_in_dates

WHEN = time.struct_time((2025, 3, 9, 7, 5, 2, 6, 68, 0))


def test_dates_are_filled_in_as_the_browser_does():
    for text, filled in {
        "%date:yyyy-MM-dd%": "2025-03-09",
        "%date:yy.M.d%": "25.3.9",
        "%date:yyyy.MM%/cat": "2025.03/cat",
        "%date:hhmmss%_%date:h-m-s%": "070502_7-5-2",
        "%date:yyy%": "yyy",  # as the browser leaves it
        "%date:yyyyy y%": "2025y y",
        "%date:%x": "x",
        "%width%_%year%": "%width%_%year%",
        "50%_%date:yyyy%": "50%_2025",
    }.items():
        assert fill_in_dates(text, WHEN) == filled
    assert fill_in_dates("%date:yyyy%") == str(time.localtime().tm_year)


def test_what_no_file_can_be_called_is_refused():
    for prefix in ("a/b", "%width%x%height%_%batch_num%", "v1.5", "50%_v1.5_5%", "50%/1.5/5%", "ü"):
        check_prefix(prefix)
    for widget in ("%KSampler.seed%", "%Load Image.image%", "%a/b.c d%"):
        with pytest.raises(InvalidSettingError, match=f"got {widget} in 'x/{widget}_y': only the browser"):
            check_prefix(f"x/{widget}_y")
    for sign in (":", "\0", "\n", "\ud800"):
        with pytest.raises(InvalidSettingError, match="Expected a filename prefix without .*, got 'a/b"):
            check_prefix(f"a/b{sign}c")


@pytest.mark.skipif(os.name == "nt", reason="Windows counts otherwise")
def test_names_are_refused_from_the_length_on_that_cannot_be_written(tmp_path):
    for name in ("a" * 255, "ü" * 127):
        (tmp_path / name).touch()
        check_lengths([Path(name), Path(name) / name])
        with pytest.raises(OSError, match="too long"):
            (tmp_path / f"{name}ü").touch()
        with pytest.raises(InvalidSettingError, match=rf"255 bytes.* got {len(name.encode()) + 2} in"):
            check_lengths([Path("short") / f"{name}ü" / "x"])
