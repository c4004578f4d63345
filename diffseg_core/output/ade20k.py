"""ADE20K's 150 classes: the names and colours that models trained on its annotations understand."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path

import numpy as np

from .. import checks
from ..errors import InvalidSettingError

# In the order of the scene parsing benchmark (Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR
# 2017), with its colours (RGB): those of ControlNet's segmentation models and of their annotators. Road and
# skyscraper have the same colour there.
CLASSES = tuple(
    (str(names), (int(red), int(green), int(blue)))
    for names, (red, green, blue) in json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
)
NAMES = tuple(names.split(", ")[0] for names, _ in CLASSES)  # the first of every class's names, all different
COLOURS = np.array([colour for _, colour in CLASSES], dtype=np.float32) / 255.0  # [150, 3] in 0..1


def class_number(text: str) -> int:
    """The place of a class in the list, 0..149, by any of its names.

    Case and extra spaces do not matter. A name that several classes share means the one that has it as
    its first name, or else the first of them; several names separated by commas or semicolons, such as a
    whole entry of the list, mean the class that has them all.

    Raises:
        InvalidSettingError: no class has the names; the message suggests the nearest ones.

    Example:
        >>> class_number("sky"), class_number("Automobile"), class_number("blind, screen")
        (2, 20, 63)
    """
    text = checks.text(text, "the name of a class")
    entry = _plain(re.sub("[,;]", " ", text))
    if entry in _BY_ENTRY:
        return _BY_ENTRY[entry]
    names = [_plain(name) for name in re.split("[,;]", text)]
    for name in names:
        if name not in _BY_NAME:
            near = difflib.get_close_matches(name, _BY_NAME, n=3, cutoff=0.7)
            raise InvalidSettingError(
                f"Expected the name of an ADE20K class such as sky, person or building, got {name!r}. "
                + (
                    f"Did you mean {' or '.join(near)}?"
                    if near
                    else "The node's help page lists all classes."
                )
            )
    shared = [number for number in _BY_NAME[names[0]] if all(number in _BY_NAME[name] for name in names)]
    if not shared:
        raise InvalidSettingError(
            f"Expected names of one ADE20K class, got {text.strip()!r}, which are of different classes. "
            "Give one of them."
        )
    return shared[0]


def _plain(name: str) -> str:
    return " ".join(name.lower().split())


# The classes that have a name, foremost the one of which it is the first.
_BY_NAME = {name: [number] for number, name in enumerate(NAMES)}
for _number, (_names, _) in enumerate(CLASSES):
    for _name in _names.split(", ")[1:]:
        _BY_NAME.setdefault(_name, []).append(_number)
# Whole entries are also found in the list's other spelling, in which every word is followed by a semicolon.
_BY_ENTRY = {_plain(names.replace(",", " ")): number for number, (names, _) in enumerate(CLASSES)}
