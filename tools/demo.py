"""`make demo`: run the first example workflow on a headless ComfyUI and leave its pictures in `output/`."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from .comfyui import ComfyServer
from .environment import installation_in_use
from .prompt_run import ComfyError
from .steps import CACHE, ROOT, SetupError
from .workflow import WorkflowError, loaded_pictures, to_prompt

WORKFLOW = ROOT / "workflows" / "try_it_without_a_checkpoint.json"
OUTPUT = ROOT / "output"


def bundled_picture(name: str) -> Path:
    """The picture of that name that comes with the example workflows.

    Raises:
        FileNotFoundError: there is none.
    """
    folders = [ROOT / "workflows", ROOT / "demo_model"]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"The workflow loads {name}, which is not in {folders[0]} or {folders[1]}.")


class Stages:
    """Lines with the seconds since the start."""

    def __init__(self) -> None:
        self.start = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        print(f"{time.monotonic() - self.start:6.1f} s  {text}", flush=True)


def run_workflow(server: ComfyServer, workflow: dict[str, Any], stages: Stages) -> list[dict[str, str]]:
    """Run the workflow on its bundled pictures and return the entries of the pictures that it saved."""
    for name in loaded_pictures(workflow):
        server.upload_image(bundled_picture(name))
    prompt = to_prompt(workflow, server.object_info())
    titles = {node_id: node["_meta"]["title"] for node_id, node in prompt.items()}
    run = server.run(prompt, on_node=lambda node_id: stages.say(f"  {titles.get(node_id, node_id)}"))
    images = [image for output in run.outputs.values() for image in output.get("images", [])]
    return [image for image in images if image["type"] == "output"]


def save_pictures(server: ComfyServer, images: list[dict[str, str]], folder: Path) -> list[Path]:
    """Save pictures under short names: "overlay.png" if alone, "mask_00.png" and so on if there are more.

    Earlier pictures in the folder are removed, so that all that lies there belongs to one run.
    """
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    groups: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for image in images:
        # ComfyUI saves the prefix "diffseg/mask" as "mask_00001_.png" in the folder "diffseg".
        stem = re.sub(r"_\d+_$", "", Path(image["filename"]).stem)
        groups[stem, Path(image["filename"]).suffix].append(image)
    written = []
    for (stem, suffix), members in groups.items():
        for index, image in enumerate(members):
            target = folder / (f"{stem}{suffix}" if len(members) == 1 else f"{stem}_{index:02d}{suffix}")
            target.write_bytes(server.fetch_image(image))
            written.append(target)
    return written


def main() -> int:
    """Run the demo; the exit status."""
    stages = Stages()
    installation = installation_in_use()
    workflow = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    stages.say(f"Starting ComfyUI {installation.version} ...")
    with ComfyServer(installation, CACHE / "demo") as server:
        stages.say(f"ComfyUI is up; running {WORKFLOW.relative_to(ROOT)}")
        images = run_workflow(server, workflow, stages)
        written = save_pictures(server, images, OUTPUT)
    stages.say("ComfyUI is stopped.")
    print(f"\n{len(written)} pictures in {OUTPUT}:")
    for path in written:
        print(f"  {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ComfyError, SetupError, WorkflowError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
