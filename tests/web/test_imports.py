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


def why_not(path: Path, name: str) -> str:
    """Why a module must not import that one; empty where it may."""
    if name in FROM_COMFYUI:
        return ""
    if not name.startswith(("./", "../")):
        return "neither ours nor one of ComfyUI's public scripts"
    target = (path.parent / name).resolve()
    if target.suffix != ".mjs":
        return "ComfyUI loads every .js file of a pack as an extension"
    return "" if target.is_file() and WEB in target.parents else "no file in web/"


def test_only_comfyuis_two_public_scripts_and_own_modules_are_imported() -> None:
    start = WEB / "diffseg.js"
    assert start in SOURCES
    assert not why_not(start, "/scripts/app.js")
    for name in ("lit", "/scripts/ui.js", "./diffseg.js", "./nowhere.mjs", "../tests/web/find_objects.mjs"):
        assert why_not(start, name)
    refused = [
        (path.name, name, reason)
        for path in SOURCES
        for _, name in IMPORT.findall(without_comments(path.read_text(encoding="utf-8")))
        if (reason := why_not(path, name))
    ]
    assert refused == []


def test_nothing_is_fetched_from_elsewhere_and_no_text_is_run_as_code() -> None:
    forbidden = ("http://", "https://", "eval(", "new Function", "innerHTML", "insertAdjacentHTML")
    sources = {path.name: without_comments(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert [(name, text) for name, source in sources.items() for text in forbidden if text in source] == []
