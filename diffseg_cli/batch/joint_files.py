"""One COCO file for all images of an output folder, made of those of each.

``panoptic.json`` and ``instances.json`` are in COCO's two formats. Names in them begin below the output
folder, so that this is what COCO's panoptic tools call the folder of segmentations. Of many images only the
list has to fit in memory: their annotations are written image by image.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from diffseg_core.errors import InvalidSettingError
from diffseg_core.output.atomic_files import write_atomic
from diffseg_core.output.coco import CATEGORY, Entry, file_of
from diffseg_core.output.export import SegmentFiles

PANOPTIC_FILE, INSTANCES_FILE = "panoptic.json", "instances.json"


def write_joint_files(out: Path, files: Sequence[SegmentFiles]) -> None:
    """Write both files, replacing earlier ones.

    Args:
        out: output folder.
        files: of the images, all of them complete, in the order of the images' numbers.

    Raises:
        InvalidSettingError: an image's own file is not what it was written as.
        OSError: they cannot be written.
    """
    write_atomic(out / PANOPTIC_FILE, _parts(out, [image.panoptic for image in files]))
    write_atomic(out / INSTANCES_FILE, _parts(out, [image.annotation for image in files]))


def forget_joint_files(out: Path) -> None:
    """Remove both, where they are.

    Raises:
        OSError: one cannot be removed.
    """
    for name in (PANOPTIC_FILE, INSTANCES_FILE):
        (out / name).unlink(missing_ok=True)


def _parts(out: Path, paths: Sequence[Path]) -> Iterator[bytes]:
    """The bytes of a joint file, an image's own file at a time."""
    images: list[Entry] = []
    categories: dict[str, Entry] = {CATEGORY["name"]: CATEGORY}
    written = 0
    yield b'{"annotations": ['
    for path in paths:
        content = _read(path)
        images += content["images"]
        numbers = {}
        for category in content["categories"]:
            joint = categories.setdefault(category["name"], {**category, "id": len(categories) + 1})
            numbers[category["id"]] = joint["id"]
        before = written
        for entry in content["annotations"]:
            if "segments_info" in entry:  # of the panoptic format, which lists an image's segments
                name = PurePosixPath(path.parent.relative_to(out).as_posix()) / entry["file_name"]
                segments = [_numbered(segment, numbers) for segment in entry["segments_info"]]
                entry |= {"file_name": name.as_posix(), "segments_info": segments}
            else:
                entry = {**_numbered(entry, numbers), "id": before + entry["segment_id"]}
            yield (",\n" if written else "\n").encode() + json.dumps(entry).encode()
            written += 1
    rest: dict[str, Any] = file_of(images, [], [*categories.values()])
    del rest["annotations"]
    yield b"],\n" + json.dumps(rest).encode()[1:] + b"\n"


def _numbered(entry: Entry, numbers: Mapping[int, int]) -> Entry:
    """An annotation or segment with the joint file's number of its category."""
    return {**entry, "category_id": numbers[entry["category_id"]]}


def _read(path: Path) -> Entry:
    try:
        content: Entry = json.loads(path.read_text(encoding="utf-8"))
        if content["images"] and isinstance(content["annotations"], list) and content["categories"]:
            return content
    except (ValueError, KeyError, TypeError):
        pass
    raise InvalidSettingError(
        f"Expected an image's COCO annotation in {path}, got something else. Remove the file and run the "
        "same command again, which writes it anew."
    )
