"""Prompts of objects in each image of a run, in a file for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from diffseg_core.errors import InvalidSettingError
from diffseg_core.prompting.prompts import Prompt, parse_objects, without_words


def read_prompts(folder: Path, name: str) -> Mapping[str, tuple[Prompt, ...]]:
    """The prompts of each object of an image, by its name.

    Args:
        folder: of ``NAME.json``.
        name: of the image in its run; a "/" in it is a folder.

    Raises:
        InvalidSettingError: there is no such file, or it holds something else, or words.
    """
    path = folder / f"{name}.json"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
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
