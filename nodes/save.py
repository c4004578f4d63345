"""DiffSeg Save Segments: label maps, overlay and COCO annotations in the output folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import folder_paths
from comfy.cli_args import args

from ..diffseg_core import InvalidSettingError, progress
from ..diffseg_core.output.coco import image_id_of
from ..diffseg_core.output.export import SegmentFiles, export_segments
from ..diffseg_core.output.file_names import check_lengths, check_prefix, fill_in_dates
from .comfy.api import io, ui
from .inputs import captured_images, refusal, segments_input
from .progress import progress_over
from .types import MORE, CapturedSegments

LENGTHS = {"year": 4, "month": 2, "day": 2, "hour": 2, "minute": 2, "second": 2}  # of what is filled in


class DiffSegSave(io.ComfyNode):
    """A set of files for every image, under the next free number."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffSegSave",
            display_name="DiffSeg Save Segments",
            category=MORE,
            description=(
                "Writes the segments of every image to the output folder: a label map and the overlay (PNG), "
                "areas, boxes and masks (COCO), and the tree of a hierarchy (NPZ)."
            ),
            search_aliases=["export segments", "save masks", "coco", "panoptic", "label map", "diffseg"],
            inputs=[
                segments_input(),
                io.String.Input(
                    "filename_prefix",
                    default="DiffSeg/segments",
                    tooltip="What the files' names begin with; a slash makes a folder. Dates such as "
                    "%date:yyyy-MM-dd% are filled in.",
                ),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None = None) -> bool | str:
        """Refuse names that no file can have before anything runs; what is linked is not known yet."""
        return refusal(
            lambda: cls._check_prefix(fill_in_dates("" if filename_prefix is None else filename_prefix))
        )

    @classmethod
    def execute(cls, segments: CapturedSegments, filename_prefix: str) -> io.NodeOutput:
        batch, images = segments.segments, captured_images(segments)
        height, width = batch.image_size
        filename_prefix = fill_in_dates(filename_prefix)
        cls._check_prefix(filename_prefix, width, height, batch.batch_size)
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), width, height
        )
        metadata = cls._metadata()
        saved = []
        with progress_over(batch.batch_size):
            for index in range(batch.batch_size):
                stem = name.replace("%batch_num%", str(index))
                # ComfyUI looks for the next number before %batch_num% is filled in, and so finds none.
                while (files := SegmentFiles(Path(folder), f"{stem}_{counter:05}")).exist:
                    counter += 1
                image_id = image_id_of((Path(subfolder) / files.name).as_posix())
                export_segments(batch, index, files, images, metadata, image_id=image_id, hierarchy=True)
                saved.append(ui.SavedResult(files.overlay.name, subfolder, io.FolderType.output))
                counter += 1
                progress.image_done(index + 1)
        return io.NodeOutput(ui=ui.SavedImages(saved))

    @classmethod
    def _check_prefix(cls, prefix: str, width: int = 1, height: int = 1, batch: int = 1) -> None:
        """Refuse a prefix of which no files can be made; sizes that are not known yet are the least."""
        check_prefix(prefix)
        sizes = {"width": len(str(width)), "height": len(str(height)), "batch_num": len(str(batch - 1))}
        for name, length in {**LENGTHS, **sizes}.items():
            prefix = prefix.replace(f"%{name}%", "0" * length)
        place = Path(f"{os.path.normpath(prefix)}_00001")
        files = SegmentFiles(place.parent, place.name)
        output = Path(folder_paths.get_output_directory())
        if Path(os.path.normpath(output / place)).is_relative_to(output):
            check_lengths(files.paths)
            return
        raise InvalidSettingError(
            f"Expected a filename prefix within the output folder, got {prefix!r}. Leave out what leads out "
            "of it."
        )

    @classmethod
    def _metadata(cls) -> dict[str, str]:
        """The prompt and the workflow, as SaveImage keeps them in its PNG."""
        if args.disable_metadata or not cls.hidden:
            return {}
        texts = {"prompt": cls.hidden.prompt, **(cls.hidden.extra_pnginfo or {})}
        return {keyword: json.dumps(value) for keyword, value in texts.items() if value is not None}
