"""Prompts of objects in each image of a run, in a file for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from diffseg_core.errors import InvalidSettingError
from diffseg_core.grid import GridSize
from diffseg_core.objects.prompts import Prompt, names_of, parse_objects, told_outside, without_words
from diffseg_core.plain_text import read_plain_text
from diffseg_core.segments import Segments


def prompts_path(folder: Path, name: str) -> Path:
    """Where the prompts of an image are, by its name in its run; a "/" in it is a folder."""
    return folder / f"{name}.json"


def read_prompts(folder: Path, name: str) -> Mapping[str, tuple[Prompt, ...]]:
    """The prompts of each object of an image, by its name.

    Args:
        folder: of ``NAME.json``.
        name: of the image in its run; a "/" in it is a folder.

    Raises:
        InvalidSettingError: there is no such file, or it holds something else, or words.
    """
    path = prompts_path(folder, name)
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


def check_places(objects: Mapping[str, Sequence[Prompt]], size: GridSize, path: Path) -> str:
    """A sentence on prompts that lie outside an image of this size; an empty one where none does.

    Args:
        objects: the prompts, as `read_prompts` gives them.
        size: of the image.
        path: of their file, for the message.

    Raises:
        InvalidSettingError: all of them do.
    """
    prompts = [prompt for each in objects.values() for prompt in each]
    count, told = told_outside(prompts, size)
    if count == len(prompts):
        raise InvalidSettingError(
            f"Expected prompts within the image in {path}, got none: {told} Write them for this image; these "
            "may be for a larger version of it."
        )
    return told


def not_found(objects: Mapping[str, Sequence[Prompt]], segments: Segments) -> str:
    """The objects that the first image has no segment of, in one line; an empty one where there is none."""
    names = dict(zip(objects, names_of(list(objects)), strict=True))
    found = [segments.names[0][each] if segments.names else "" for each in range(segments.counts[0])]
    missing = [name for name, given in names.items() if given not in found]
    return f"no pixel is left of {', '.join(missing)}" if missing else ""
