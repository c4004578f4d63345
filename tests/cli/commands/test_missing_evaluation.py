"""Commands whose libraries are not installed say which extra brings them."""

from __future__ import annotations

import sys

from diffseg_cli.commands import main


def test_the_extra_is_named_where_its_libraries_are_not_installed(capsys, monkeypatch):
    for package in ("diffseg_eval", "skimage"):
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "skimage", None)
    for command in (["evaluate", "folder", "--root", "somewhere"], ["compare", "one", "other"]):
        assert main(command) == 2, command
        assert 'Install them with the extra "eval"' in capsys.readouterr().err
