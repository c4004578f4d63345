"""A run of many images: each is read, segmented and written, whole or not at all.

What becomes of images that are out of the ordinary (of damaged ones and unusual kinds, see `reading`):

- 1×1 pixels and up: enlarged to the working size, and segmented; one pixel is one segment;
- long and narrow (12,000×400): the working size has its shape, with at least 64 pixels a side; there are as
  many anchors as the narrower side of the attention's grid takes;
- more than 200 times as long as broad: refused, see `Segmenter.capture`;
- large: segmented, up to Pillow's limit; one of 89 million pixels takes 7 GB of memory,
  for its overlay above all, and minutes.

A run can be stopped at any time and goes on where it stopped: an image is done when its files are there. The
settings are kept in the output folder, and a run with others is refused. The names of its images are kept
too: their places in that list are the numbers by which COCO's files know them. One run at a time may write in
a folder, of however many processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from diffseg_core.attention.capture_settings import CaptureSettings
from diffseg_core.errors import InvalidSettingError
from diffseg_core.grid import GridSize
from diffseg_core.images import as_images
from diffseg_core.objects.prompts import Prompt, names_of, parse_objects, told_outside, without_words
from diffseg_core.output.atomic_files import remove_leftovers
from diffseg_core.output.export import export_segments
from diffseg_core.plain_text import read_plain_text
from diffseg_core.segments import Segments
from diffseg_core.words.find_words import FoundWords
from diffseg_core.words.lines import parse_words

from .discovery import InputImage
from .image_reading import read_image
from .joint_files import forget_joint_files, write_joint_files
from .run_manifest import RunManifest
from .segmenter import Segmenter
from .settings import ModelChoice, SegmentSettings, WordSettings

RUN_FILE = "diffseg.json"
FORMAT, VERSION = "diffseg-run", 1


@dataclass(frozen=True)
class RunSettings:
    """What decides on the segments of a run, and on its files.

    Attributes:
        model: which model; on what device it runs is not kept, and may change from one run to the next.
        capture: as of DiffSeg Capture Attention.
        segment: as of DiffSeg Segment or DiffSeg Hierarchy.
        save_masks: whether each mask is written to a file of its own too.
        prompts: folder of ``NAME.json``, absolute, with the prompts of objects in each image, see
            `diffseg_core.objects.prompts`; None for segments of everything.
        words: that are looked for in every image, with segments of a hierarchy; None for everything.
    """

    model: ModelChoice
    capture: CaptureSettings
    segment: SegmentSettings
    save_masks: bool = False
    prompts: Path | None = None
    words: WordSettings | None = None

    def to_dict(self) -> dict[str, Any]:
        """By name, as they are in the output folder and as people know them."""
        model = {"model": self.model.model, "precision": self.model.precision}
        objects: dict[str, Any] = {} if self.prompts is None else {"prompts": str(self.prompts)}
        segment = self.segment.to_dict()
        if self.words is not None:
            objects |= self.words.to_dict()
        return {**model, **asdict(self.capture), **segment, "save_masks": self.save_masks, **objects}


class SegmentWorker:
    """Segments one image after the other, into the output folder."""

    def __init__(self, settings: RunSettings, out: Path) -> None:
        self._settings = settings
        self._out = out
        lines = () if settings.words is None else parse_words(settings.words.words)
        self._segmenter = Segmenter(settings.model, settings.capture, lines)

    def __call__(self, image: InputImage) -> str | None:
        """Segment one image and write its files.

        Returns:
            which words were not found in it, or which prompts lie outside of it, if any.

        Raises:
            UnreadableImageError: there is no image that can be read.
            InvalidSettingError: an image whose shape or number of segments is out of range, or whose prompts
                all lie outside of it.
            OSError: its files cannot be written.
        """
        folder = self._settings.prompts
        path = None if folder is None else folder / f"{image.name}.json"  # a "/" in its name is a folder
        prompts = None if path is None else _read_prompts(path)
        pixels = as_images(read_image(image.path))
        if self._settings.words is not None:
            words = self._segmenter.find_words(pixels, self._settings.segment, self._settings.words)
            segments, notes = words.segments, [_words_not_found(words)]
        elif path is not None and prompts is not None:
            outside = _outside(prompts, pixels.size, path)
            segments = self._segmenter.segment(pixels, self._settings.segment, prompts)
            notes = [outside, _without_pixels(prompts, segments)]
        else:
            segments, notes = self._segmenter.segment(pixels, self._settings.segment), []
        export_segments(
            segments,
            0,
            image.files(self._out),
            pixels,
            masks=self._settings.save_masks,
            image_id=image.number,
            image_name=image.file_name,
        )
        return " ".join(filter(None, notes)) or None


def _words_not_found(words: FoundWords) -> str:
    """The words that are not in the first image, in one line; an empty one where all are."""
    missing = [f"{word.name} (best {word.score:.2f})" for word in words.found[0] if not word.found]
    return f"not found: {', '.join(missing)}" if missing else ""


def _read_prompts(path: Path) -> Mapping[str, tuple[Prompt, ...]]:
    """The prompts of each object of an image, by its name; at least one."""
    try:
        text = read_plain_text(path)
    except OSError as error:
        raise InvalidSettingError(
            f"Expected the prompts of the image in {path}, which cannot be read: {error}."
        ) from error
    try:
        objects = without_words(parse_objects(text))
    except InvalidSettingError as error:
        raise InvalidSettingError(f"{path}: {error}") from None
    if not objects:
        raise InvalidSettingError(f"Expected at least one prompt in {path}, got none.")
    return objects


def _outside(objects: Mapping[str, Sequence[Prompt]], size: GridSize, path: Path) -> str:
    """A sentence on prompts that lie outside an image of this size; an empty one where none does."""
    prompts = [prompt for of_object in objects.values() for prompt in of_object]
    count, outside = told_outside(prompts, size)
    if count == len(prompts):
        raise InvalidSettingError(
            f"Expected prompts within the image in {path}, got none: {outside} Write them for this image; "
            "these may be for a larger version of it."
        )
    return outside


def _without_pixels(objects: Mapping[str, Sequence[Prompt]], segments: Segments) -> str:
    """The objects that the first image has no segment of, in one line; an empty one where there is none."""
    names = dict(zip(objects, names_of(list(objects)), strict=True))
    segment_names = [
        segments.names[0][index] if segments.names else "" for index in range(segments.counts[0])
    ]
    missing = [name for name, entered in names.items() if entered not in segment_names]
    return f"no pixel is left of {', '.join(missing)}" if missing else ""


def prepare_run(
    images: Sequence[InputImage], out: Path, settings: RunSettings, overwrite: bool = False
) -> list[InputImage]:
    """Make the output folder ready for a run.

    Temporary files that a killed run left are removed, and the settings are written where none are.

    Args:
        images, settings: of the run.
        out: output folder; created.
        overwrite: forget the settings of an earlier run, and do its images again.

    Returns:
        the images that are yet to do, numbered.

    Raises:
        InvalidSettingError: the folder is of a run with other settings, or cannot be written.
    """
    try:
        _check_settings(images, out, settings, overwrite)
        remove_leftovers_in(images, out)
        if overwrite:
            forget_joint_files(out)
            for image in images:
                image.files(out).annotation.unlink(missing_ok=True)
        numbers = _numbers(images, out)
        _manifest(out).write(settings.to_dict(), list(numbers))
        done = {image.name for image in images if image.files(out).complete}
    except OSError as error:
        raise _not_writable(out, error) from error
    return [replace(image, number=numbers[image.name]) for image in images if image.name not in done]


def finish_run(images: Sequence[InputImage], out: Path) -> None:
    """Remove temporary files that killed workers left, and write COCO's files of all images in the folder.

    Args:
        images: of the run, whose workers are done.
        out: output folder.

    Raises:
        InvalidSettingError: the folder cannot be written, or an image's file was changed by others.
    """
    try:
        remove_leftovers_in(images, out)
        all_files = [InputImage(out / name, name).files(out) for name in _manifest(out).images]
        write_joint_files(out, [files for files in all_files if files.complete])
    except OSError as error:
        raise _not_writable(out, error) from error


def remove_leftovers_in(images: Sequence[InputImage], out: Path) -> None:
    """Remove temporary files that killed workers left; none may be at work. Raises OSError."""
    written = [image.files(out) for image in images]
    for folder in {out, *(files.folder for files in written), *(files.masks for files in written)}:
        remove_leftovers(folder)


def _numbers(images: Sequence[InputImage], out: Path) -> dict[str, int]:
    """Numbers of images, from 1, by name and in order: earlier ones as they were, new ones after them."""
    names = [*_manifest(out).images, *(image.name for image in images)]
    return {name: number for number, name in enumerate(dict.fromkeys(names), start=1)}


def _manifest(out: Path) -> RunManifest:
    return RunManifest(out / RUN_FILE, FORMAT, VERSION)


def _not_writable(out: Path, error: OSError) -> InvalidSettingError:
    return InvalidSettingError(f"Expected an output folder that can be written, got {out}: {error}.")


def _check_settings(images: Sequence[InputImage], out: Path, settings: RunSettings, overwrite: bool) -> None:
    """Segments of different settings must not come to lie side by side."""
    manifest, now = _manifest(out), settings.to_dict()
    if manifest.settings == now:
        return
    if overwrite:
        _check_all_are_overwritten(images, out)
        return
    manifest.refuse_changes(now, "do its images again")
    done = sum(image.files(out).annotation.exists() for image in images)
    if done:
        raise InvalidSettingError(
            f"Expected {RUN_FILE} in {out}, where {done} of the images have segments: it says with what "
            "settings. Choose another --out, or --overwrite to do them again."
        )


def _check_all_are_overwritten(images: Sequence[InputImage], out: Path) -> None:
    overwritten = {image.files(out).annotation for image in images}
    kept = [path for path in out.rglob("*_segments.json") if path not in overwritten]
    if kept:
        raise InvalidSettingError(
            f"Expected to overwrite everything in {out} with other settings, but it has segments of "
            f"{len(kept)} more image(s), such as {kept[0]}. Choose another --out, or remove them."
        )
