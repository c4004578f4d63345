"""Commands whose libraries are not installed say which extra brings them."""

from __future__ import annotations

import sys

from PIL import Image

from diffseg_cli.commands import main


def test_the_extra_is_named_where_its_libraries_are_not_installed(capsys, monkeypatch, tmp_path):
    for package in ("diffseg_eval", "skimage"):
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "skimage", None)
    for command in (["evaluate", "folder", "--root", "somewhere"], ["compare", "one", "other"]):
        assert main(command) == 2, command
        assert 'pip install ".[cli,eval]"' in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "diffusers", None)
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    assert main(["segment", str(tmp_path / "x.png"), "--out", str(tmp_path / "out")]) == 2
    assert 'pip install ".[cli,eval]"' in capsys.readouterr().err
