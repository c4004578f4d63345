"""`make serve`: ComfyUI with the pack, the demo model and the example images, for a person to play with.

PORT chooses another port than 8188; NO_BROWSER=1 only prints the address.
"""

from __future__ import annotations

import os
import shutil
import sys
import webbrowser

from .comfyui import ComfyServer
from .demo import DEMONSTRATIONS, WORKFLOW
from .environment import installation_in_use
from .prompt_run import ComfyError
from .steps import CACHE, SetupError


def main() -> int:
    """Serve until Ctrl-C; the exit status."""
    base = CACHE / "serve"
    (base / "input").mkdir(parents=True, exist_ok=True)
    for demonstration in DEMONSTRATIONS.values():
        shutil.copy(demonstration.photograph, base / "input")
    port = int(os.environ.get("PORT") or 8188)
    with ComfyServer(installation_in_use(), base, port=port, echo=True) as server:
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
