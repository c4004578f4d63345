"""`make serve`: ComfyUI with the pack, the demo model and the example images, for a person to play with.

PORT chooses another port than 8188; NO_BROWSER=1 only prints the address.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import webbrowser
from pathlib import Path

from PIL import Image

from .comfyui import ComfyServer
from .demo import DEMONSTRATIONS, WORKFLOW
from .environment import Installation, installation_in_use
from .prompt_run import ComfyError
from .steps import CACHE, SetupError
from .workflow import loaded_images


def copy_images(installation: Installation, folder: Path) -> None:
    """Put all images into an input folder that the example workflows load, and those of `make demo`.

    Args:
        installation: whose own example image is taken; where it has none, a photograph of ours.
        folder: made where it is missing; what lies there is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for demonstration in DEMONSTRATIONS.values():
        shutil.copy(demonstration.photograph, folder)
    for path in WORKFLOW.parent.glob("*.json"):
        for name in loaded_images(json.loads(path.read_text(encoding="utf-8"))):
            original = installation.directory / "input" / name
            if (folder / name).exists():
                continue
            if original.is_file():
                shutil.copy(original, folder)
            else:
                with Image.open(DEMONSTRATIONS["coffee"].photograph) as photograph:
                    photograph.save(folder / name)


def main() -> int:
    """Serve until Ctrl-C; the exit status."""
    base = CACHE / "serve"
    installation = installation_in_use()
    copy_images(installation, base / "input")
    port = int(os.environ.get("PORT") or 8188)
    with ComfyServer(installation, base, port=port, echo=True) as server:
        server.post("/settings/Comfy.TutorialCompleted", True)
        address = f"{server.url}/?template={WORKFLOW.stem}&source=DiffSeg"
        print(f"\nComfyUI with DiffSeg: {address}")
        print("More example workflows: Workflow, Browse Templates, DiffSeg. Ctrl-C stops it.\n", flush=True)
        if not os.environ.get("NO_BROWSER"):
            webbrowser.open(address)
        server.wait()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ComfyError, SetupError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("Stopped.")
