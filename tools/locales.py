"""`make locales`: write locales/en/nodeDefs.json, the English texts of the nodes as ComfyUI's translations.

ComfyUI sends a pack's locales/<language>/nodeDefs.json to its front end, which looks there for what the nodes
and their inputs and outputs are called and what their tooltips say. The names by which workflows know them do
not change. The English file repeats the nodes' schemas; the other languages are written by hand.

The front end compiles names and descriptions as messages of vue-i18n, where braces, @ and | are syntax. That
of ComfyUI 0.20.1 compiles tooltips too, and in Nodes 2.0 does not draw a node with braces in one. So no file
here may have any of these. A schema's text that has stays out of the English file, and ComfyUI shows the
schema's; other languages word it without.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .environment import NEWEST, comfyui_directory
from .in_process import import_comfyui, import_pack
from .steps import ROOT

LOCALES = ROOT / "locales"
SYNTAX = frozenset("{}@|")

Key = tuple[str, ...]  # such as ("DiffSegSegment", "inputs", "anchors", "tooltip")


def node_file(language: str) -> dict[str, Any]:
    """The translations of one language, as they are in the repository."""
    loaded: dict[str, Any] = json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8"))
    return loaded


def flatten(tree: dict[str, Any], above: Key = ()) -> Iterator[tuple[Key, str]]:
    """Every text of a translation file with the keys that lead to it."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flatten(value, (*above, name))
        else:
            yield (*above, name), value


def schema_texts(pack: ModuleType) -> dict[Key, str]:
    """Every text that the nodes' schemas show, by the keys under which the front end looks for it."""
    texts: dict[Key, str] = {}
    extension = asyncio.run(pack.comfy_entrypoint())
    for node in asyncio.run(extension.get_node_list()):
        schema = node.GET_SCHEMA()
        texts[schema.node_id, "display_name"] = schema.display_name
        texts[schema.node_id, "description"] = schema.description
        ports = [
            ("inputs", port.id.replace(".", "_"), port.display_name or port.id, port)
            for port in schema.inputs
        ]
        ports += [
            ("outputs", str(index), port.display_name, port) for index, port in enumerate(schema.outputs)
        ]
        for side, key, name, port in ports:
            texts[schema.node_id, side, key, "name"] = name
            texts[schema.node_id, side, key, "tooltip"] = port.tooltip
    return texts


def english(pack: ModuleType) -> dict[str, Any]:
    """What locales/en/nodeDefs.json has to contain."""
    tree: dict[str, Any] = {}
    for keys, text in schema_texts(pack).items():
        if SYNTAX.isdisjoint(text):
            branch = tree
            for key in keys[:-1]:
                branch = branch.setdefault(key, {})
            branch[keys[-1]] = text
    return tree


def main() -> None:
    """Write the English file."""
    import_comfyui(comfyui_directory(NEWEST))
    text = json.dumps(english(import_pack()), ensure_ascii=False, indent=2)
    (LOCALES / "en" / "nodeDefs.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
