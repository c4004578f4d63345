"""The translations as ComfyUI hands them to its front end."""

from __future__ import annotations

import pytest
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.locales import node_file


@pytest.mark.parametrize("language", ["en", "zh"])
def test_comfyui_serves_the_translations_of_every_node(comfy_server: ComfyServer, language: str) -> None:
    served = comfy_server.get("/i18n")[language]["nodeDefs"]
    assert served == node_file(language)
    infos = comfy_server.object_info()
    nodes = {name for name, node in infos.items() if node["category"].split("/")[0] == "DiffSeg"}
    assert set(served) == nodes
