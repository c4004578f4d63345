"""DiffSeg Check Model: how well the loaded model segments, and which settings suit it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.utils
import folder_paths

from ..diffseg_core import __version__, callbacks
from ..diffseg_core.benchmark.record import as_json, record
from ..diffseg_core.benchmark.report import as_text, draw_sheet
from ..diffseg_core.benchmark.run import Check, check_measured
from ..diffseg_core.benchmark.trials import CheckResults, plan_for
from ..diffseg_core.images import as_images
from ..diffseg_core.output.atomic_files import write_atomic
from .comfy import capture as comfy_capture
from .comfy.api import io, server, ui
from .comfy.check import CheckCapture
from .comfy.conditioning import UNCONNECTED, checked_clip, empty_prompt
from .outputs import as_output
from .progress import stop_if_interrupted
from .types import MORE

PREFIX = "DiffSeg/check"


class DiffSegCheckModel(io.ComfyNode):
    """Ten photographs with drawn objects, many settings, one report."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegCheckModel",
            display_name="DiffSeg Check Model",
            category=MORE,
            description=(
                "Measures how well the loaded model segments ten photographs that come with this pack, "
                "beside the demo model and colours alone, and says which noise level, evidence, blocks and "
                "merge threshold suit it, to be set in the other nodes. Writes the figures to the output "
                "folder as JSON, without names or paths, to be attached to an issue. Takes minutes: the "
                "model runs some ninety times."
            ),
            search_aliases=["benchmark", "quality", "calibrate", "best settings", "diffseg"],
            inputs=[
                io.Model.Input(
                    "model", tooltip="Any model that DiffSeg Capture Attention takes. It is not changed."
                ),
                io.Vae.Input("vae", tooltip="The VAE of the model."),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="The CLIP of the model, which encodes the empty prompt and the names of the "
                    "objects. For a model without text, such as DiffSeg Demo Model, leave clip and "
                    "conditioning unconnected.",
                ),
                io.Conditioning.Input(
                    "conditioning",
                    optional=True,
                    tooltip="Instead of clip: a CLIP Text Encode. It wins where both are connected, but for "
                    "the words.",
                ),
                io.Boolean.Input(
                    "quick",
                    default=False,
                    tooltip="Four photographs and few settings, to see whether all goes well.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="report", tooltip="Figures and advice, as text with a table."),
                io.Image.Output(
                    display_name="sheet",
                    tooltip="The photographs, with the segments at the settings that suit the model best.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        vae: Any,
        quick: bool,
        clip: Any = UNCONNECTED,
        conditioning: list[Any] | None = None,
    ) -> io.NodeOutput:
        if conditioning is None:
            name = comfy_capture.backbone_of(model).name
            conditioning = empty_prompt(model, name, checked_clip(clip))
        reader = None if clip is UNCONNECTED else clip
        capture = CheckCapture(model, vae, conditioning, reader)
        bar = comfy.utils.ProgressBar(1)

        def on_step(done: int, total: int, what: str) -> None:
            stop_if_interrupted()
            bar.update_absolute(done, total)
            cls._tell(f"{done} of {total}: {what}")

        check = Check(
            capture,
            capture.model,
            plan_for(capture.model["is_transformer"], quick),
            on_step=on_step,
            read_words=None if reader is None else capture.read_words,
            no_words="connect clip to have it tried whether the model finds things by words.",
        )
        with callbacks(stop_if_interrupted):
            results = check.run()
        check_measured(results)
        report = as_text(results, __version__) + f"\nThe record is in the output folder: {_save(results)}\n"
        cls._tell(report)
        sheet = as_images(draw_sheet(results)).colours
        shown = {**ui.PreviewImage(sheet, cls=cls).as_dict(), **ui.PreviewText(report).as_dict()}
        return io.NodeOutput(report, as_output(sheet), ui=shown)

    @classmethod
    def _tell(cls, text: str) -> None:
        """Show a text on the node, where there is a browser to show it."""
        host, node_id = server(), cls.hidden.unique_id if cls.hidden else None
        if host is not None and node_id:
            host.send_progress_text(text, str(node_id))


def _save(results: CheckResults) -> str:
    """Write the record under the next free number; returns its name within the output folder."""
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        PREFIX, folder_paths.get_output_directory()
    )
    file = Path(folder) / f"{name}_{counter:05}_.json"
    write_atomic(file, as_json(record(results, __version__)).encode())
    return (Path(subfolder) / file.name).as_posix()
