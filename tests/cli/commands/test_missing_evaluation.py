"""Commands whose package or libraries are not installed say which extra brings them."""

from __future__ import annotations

import sys

from diffseg_cli.commands import main


def test_the_extra_is_named_where_the_evaluation_is_not_installed(capsys, monkeypatch):
    for missing in ("diffseg_eval", "skimage"):
        with monkeypatch.context() as patch:
            for name in [name for name in sys.modules if name.partition(".")[0] == "diffseg_eval"]:
                patch.delitem(sys.modules, name)
            for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
                patch.delitem(sys.modules, name)
            patch.setitem(sys.modules, missing, None)
            for command in (["evaluate", "folder", "--root", "somewhere"], ["compare", "one", "other"]):
                assert main(command) == 2, (missing, command)
                assert 'Install them with the extra "eval"' in capsys.readouterr().err
