"""ComfyUI and the node pack in the process at hand, without a server: for tests and benchmarks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from .steps import ROOT


def import_comfyui(directory: Path, cpu: bool = True) -> None:
    """Make ComfyUI's modules importable.

    ComfyUI reads its command line when it is first imported, so this must come before any other import of it.

    Args:
        directory: of ComfyUI.
        cpu: have it compute on the CPU, whatever else there is.
    """
    sys.path.insert(0, str(directory))
    from comfy.cli_args import args

    args.cpu = cpu


def import_pack(name: str = "DiffSeg", folder: Path = ROOT) -> ModuleType:
    """Import the pack as ComfyUI imports a custom node: as a package under its folder's name.

    Its classes are then `<name>.diffseg_core...` and not those of an installed `diffseg_core`.

    Args:
        name: of the package.
        folder: in which the pack is, by default the repository.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
