"""What the code in `web/` may reach for: it is served beside other packs, to browsers without a network."""

from __future__ import annotations

import re
from pathlib import Path

WEB = Path(__file__).resolve().parents[2] / "web"
SOURCES = sorted(path for path in WEB.rglob("*") if path.suffix in (".js", ".mjs"))
IMPORT = re.compile(r"""(?:\bfrom|^\s*import|\bimport\()\s*(['"])(.+?)\1""", re.MULTILINE)
FROM_COMFYUI = {"/scripts/app.js", "/scripts/api.js"}


def without_comments(source: str) -> str:
    """Types are imported in comments, and no browser sees those."""
    return re.sub(r"/\*.*?\*/|^\s*//.*$", "", source, flags=re.DOTALL | re.MULTILINE)


def test_only_comfyuis_two_public_scripts_and_own_modules_are_imported() -> None:
    assert WEB / "diffseg.js" in SOURCES
    for path in SOURCES:
        for _, name in IMPORT.findall(without_comments(path.read_text(encoding="utf-8"))):
            if name in FROM_COMFYUI:
                continue
            assert name.startswith(("./", "../")), (path, name)
            target = (path.parent / name).resolve()
            assert target.suffix == ".mjs", f"{name}: ComfyUI loads every .js file of a pack as an extension"
            assert target.is_file(), (path, name)
            assert WEB in target.parents, (path, name)


def test_nothing_is_fetched_from_elsewhere_and_no_text_is_run_as_code() -> None:
    for path in SOURCES:
        source = without_comments(path.read_text(encoding="utf-8"))
        for forbidden in ("http://", "https://", "eval(", "new Function", "innerHTML", "insertAdjacentHTML"):
            assert forbidden not in source, path
