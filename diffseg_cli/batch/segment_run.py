"""A run of many pictures: each is read, segmented and written, whole or not at all.

What becomes of pictures that are out of the ordinary (of damaged ones and unusual kinds, see `reading`):

- 1×1 pixels and up: enlarged to the working size, and segmented; one pixel is one segment;
- long and narrow (12,000×400): the working size has its shape, with at least 64 pixels a side; there are as
  many anchors as the narrower side of the attention's grid takes;
- more than 200 times as long as broad: refused, see `Segmenter.capture`;
- large: segmented, up to Pillow's limit; one of 89 million pixels takes 7 GB of memory,
  for its overlay above all, and minutes.

A run can be stopped at any time and goes on where it stopped: a picture is done when its annotation is
there. The settings are kept in the output folder, and a run with others is refused. One run at a time may
write in a folder, of however many processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffseg_core.errors import InvalidSettingError
from diffseg_core.output.atomic_files import sweep
from diffseg_core.output.export import export_segments

from .inputs import InputPicture
from .reading import read_picture
from .run_file import describe_changes, read_run_file, write_run_file
from .segmenter import Segmenter
from .settings import CaptureSettings, ModelChoice, SegmentSettings, kept_today

RUN_FILE = "diffseg.json"
FORMAT, VERSION = "diffseg-run", 1


@dataclass(frozen=True)
class RunSettings:
    """What decides on the segments of a run, and on its files.

    Attributes:
        model: which model; on what device it runs is not kept, and may change from one run to the next.
        capture: as of DiffSeg Capture Attention.
        segment: as of DiffSeg Segment or DiffSeg Hierarchy.
        mask_files: whether each mask is written to a file of its own too.
    """

    model: ModelChoice
    capture: CaptureSettings
    segment: SegmentSettings
    mask_files: bool = False

    def kept(self) -> dict[str, Any]:
        """By name, as they are in the output folder and as people know them."""
        model = {"model": self.model.model, "precision": self.model.precision}
        return {**model, **asdict(self.capture), **self.segment.kept(), "mask_files": self.mask_files}


@dataclass(frozen=True)
class MakeSegmentWorker:
    """Loads a model, and gives a worker for a crew.

    Attributes:
        settings: of the run.
        out: output folder, absolute.
        threads: CPU threads of the process; None leaves them as they are.
    """

    settings: RunSettings
    out: Path
    threads: int | None = None

    def __call__(self) -> SegmentWorker:
        """Load the model."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return SegmentWorker(self.settings, self.out)


class SegmentWorker:
    """Segments one picture after the other.

    Args:
        settings: of the run.
        out: output folder.
    """

    def __init__(self, settings: RunSettings, out: Path) -> None:
        self._settings = settings
        self._out = out
        self._segmenter = Segmenter(settings.model, settings.capture)

    def __call__(self, picture: InputPicture) -> None:
        """Segment one picture and write its files.

        Raises:
            UnreadablePictureError: there is no picture that can be read.
            InvalidSettingError: a picture whose shape, or whose number of segments, is out of range.
            OSError: its files cannot be written.
        """
        image = read_picture(picture.path)
        segments = self._segmenter.segment(image, self._settings.segment)
        pixels = torch.from_numpy(np.array(image)).float()[None] / 255.0  # [1, H, W, 3]
        export_segments(segments, 0, picture.files(self._out), pixels, masks=self._settings.mask_files)


def prepare_run(
    pictures: Sequence[InputPicture], out: Path, settings: RunSettings, overwrite: bool = False
) -> list[InputPicture]:
    """Make the output folder ready for a run.

    Temporary files that a killed run left are removed, and the settings are written where none are.

    Args:
        pictures: of the run.
        out: output folder; created.
        settings: of the run.
        overwrite: forget the settings of an earlier run, and do its pictures again.

    Returns:
        the pictures that are yet to do.

    Raises:
        InvalidSettingError: the folder is of a run with other settings, or cannot be written.
    """
    try:
        _check_settings(pictures, out, settings, overwrite)
        sweep_output(pictures, out)
        if overwrite:
            for picture in pictures:
                picture.files(out).annotation.unlink(missing_ok=True)
        write_run_file(out / RUN_FILE, FORMAT, VERSION, settings.kept())
    except OSError as error:
        raise InvalidSettingError(
            f"Expected an output folder that can be written, got {out}: {error}."
        ) from error
    return [picture for picture in pictures if not picture.files(out).annotation.exists()]


def sweep_output(pictures: Sequence[InputPicture], out: Path) -> None:
    """Remove temporary files that killed workers left; none may be at work.

    Args:
        pictures: of the run.
        out: output folder.

    Raises:
        OSError: one cannot be removed.
    """
    files = [picture.files(out) for picture in pictures]
    for folder in {out, *(each.folder for each in files), *(each.masks for each in files)}:
        sweep(folder)


def _check_settings(
    pictures: Sequence[InputPicture], out: Path, settings: RunSettings, overwrite: bool
) -> None:
    """Segments of different settings must not come to lie side by side."""
    found, now = read_run_file(out / RUN_FILE, FORMAT, VERSION), settings.kept()
    before = None if found is None else kept_today(found)
    if before == now:
        return
    if overwrite:
        _check_all_are_overwritten(pictures, out)
        return
    if before is not None:
        raise InvalidSettingError(
            f"Expected the settings of the run in {out}, got others: {describe_changes(before, now)}. "
            "Choose another --out, or --overwrite to do its pictures again."
        )
    done = sum(picture.files(out).annotation.exists() for picture in pictures)
    if done:
        raise InvalidSettingError(
            f"Expected {RUN_FILE} in {out}, where {done} of the pictures have segments: it says with what "
            "settings. Choose another --out, or --overwrite to do them again."
        )


def _check_all_are_overwritten(pictures: Sequence[InputPicture], out: Path) -> None:
    own = {picture.files(out).annotation for picture in pictures}
    others = [path for path in out.rglob("*_segments.json") if path not in own]
    if others:
        raise InvalidSettingError(
            f"Expected to overwrite everything in {out} with other settings, but it has segments of "
            f"{len(others)} more picture(s), such as {others[0]}. Choose another --out, or remove them."
        )
