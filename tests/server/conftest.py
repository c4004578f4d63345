"""A live ComfyUI per release, for the whole session."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import exhaustive_but
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.environment import NEWEST, OLDEST, Installation, comfyui_directory

TESTS = Path(__file__).resolve().parents[1]


def serve(version: str, base_directory: Path) -> Iterator[ComfyServer]:
    """Start that release with the pack, and with the nodes of the tests: tiny models, and one that reads."""
    directory = comfyui_directory(version)
    if not (directory / "main.py").is_file():
        pytest.fail(
            f"ComfyUI {version} is not in {directory}. Run `make test`, which fetches it.", pytrace=False
        )
    custom_nodes = base_directory / "custom_nodes"
    shutil.copytree(TESTS / "server" / "tiny_models", custom_nodes / "TinyModels")
    shutil.copy(TESTS / "comfy" / "transformer_models.py", custom_nodes / "TinyModels")
    shutil.copy(TESTS / "browser" / "word_model.py", custom_nodes)
    with ComfyServer(Installation(directory, Path(sys.executable)), base_directory) as server:
        yield server


@pytest.fixture(scope="session")
def comfy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """The release of ComfyUI that the pack is developed against."""
    yield from serve(NEWEST, tmp_path_factory.mktemp("comfyui"))


@pytest.fixture(scope="session")
def comfy_server_oldest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """The oldest release of ComfyUI that the pack is tested against."""
    yield from serve(OLDEST, tmp_path_factory.mktemp("comfyui_oldest"))


def server_of(request: pytest.FixtureRequest) -> ComfyServer:
    """Of the release that is the fixture's parameter."""
    server: ComfyServer = request.getfixturevalue(
        "comfy_server" if request.param == NEWEST else "comfy_server_oldest"
    )
    return server


@pytest.fixture(params=[NEWEST, OLDEST])
def any_comfy_server(request: pytest.FixtureRequest) -> ComfyServer:
    """Each of the two releases in turn."""
    return server_of(request)


@pytest.fixture(params=exhaustive_but([NEWEST], [NEWEST, OLDEST]))
def mostly_newest_server(request: pytest.FixtureRequest) -> ComfyServer:
    """The newest release, and exhaustively the oldest: for what ComfyUI's own nodes make of ours."""
    return server_of(request)


@pytest.fixture
def hierarchy_prompt(segments_prompt: dict[str, Any]) -> dict[str, Any]:
    """`segments_prompt` with DiffSeg Hierarchy at its automatic cut."""
    hierarchy = {
        "attention": ["2", 0], "cut": "automatic", "number": 10, "height": 0.1, "threshold": 0.5,
        "neighbours_only": True, "finest": 0.06,
    }  # fmt: skip
    return {**segments_prompt, "3": {"class_type": "DiffSegHierarchy", "inputs": hierarchy}}


@pytest.fixture
def segments_prompt() -> dict[str, Any]:
    """A prompt whose node "3" gives segments of the demo model's photograph, and "1" at 3 the photograph."""
    return {
        "1": {"class_type": "DiffSegDemoModel", "inputs": {}},
        "2": {
            "class_type": "DiffSegCapture",
            "inputs": {
                "model": ["1", 0], "vae": ["1", 1], "conditioning": ["1", 2], "image": ["1", 3],
                "noise_level": 25, "input_mode": "clean latent", "noise_seed": 0, "working_size": 384,
                "layers": "all",
            },
        },
        "3": {
            "class_type": "DiffSegSegment",
            "inputs": {
                "attention": ["2", 0], "merge_threshold": 0.63, "anchors": 16, "smallest_area": 2.0,
            },
        },
    }  # fmt: skip
