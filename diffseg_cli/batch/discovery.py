"""Which images a run is of, and what the files of each are called.

An input is a file, a folder or a pattern:

- a file is taken whatever its ending, and called by its name without the ending;
- a folder is searched with everything below it for images, by the usual endings. They are called by their
  path below the folder, without the ending: ``holiday/beach.jpg`` is ``holiday/beach``;
- a pattern (``photos/**/*.jpg``) likewise; names begin below its part without wildcards.

Names that begin with a dot are passed over, and so is the output folder where it lies in a folder that is
searched. Links are followed, each folder once. Two images that would have one name (in letters of either
case) keep their endings in it: ``x.jpg`` and ``x.png`` are ``x_jpg`` and ``x_png``.
"""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from diffseg_core.errors import InvalidSettingError
from diffseg_core.output.export import SegmentFiles
from diffseg_core.output.file_names import check_lengths

from .image_reading import ENDINGS


@dataclass(frozen=True)
class InputImage:
    """An image of a run.

    Attributes:
        path: absolute.
        name: unique in the run; with "/" where it lies in a folder below the input.
        number: of the image in its output folder, from 1, once it is known there.
    """

    path: Path
    name: str
    number: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def file_name(self) -> str:
        """Its path below the input, with the ending."""
        return PurePosixPath(self.name).with_name(self.path.name).as_posix()

    def files(self, out: Path) -> SegmentFiles:
        """What is written for it in the output folder."""
        place = out / self.name
        return SegmentFiles(place.parent, place.name)

    def check_names(self, out: Path) -> None:
        """Refuse an image for whose files the output folder has no names.

        Raises:
            InvalidSettingError: they would be too long.
        """
        check_lengths(path.relative_to(out) for path in self.files(out).paths)

    def has_names(self, out: Path) -> bool:
        """Whether its files can be written, as far as the length of their names goes."""
        try:
            self.check_names(out)
        except InvalidSettingError:
            return False
        return True


@dataclass(frozen=True)
class _Found:
    """A file, the folder from which it was found (None for one that was named), and its path from there."""

    path: Path
    searched: Path | None
    relative: Path


def find_images(inputs: Sequence[str], out: Path, others: set[Path] | None = None) -> list[InputImage]:
    """The images of a run, each once, in the order of the inputs and sorted within each.

    Args:
        inputs: files, folders and patterns.
        out: the output folder, which need not exist.
        others: to this are added the files that were found too and have not the ending of an image.

    Raises:
        InvalidSettingError: an input that is not there or has no images, images of the same name, or an
            output folder that would mix what is written with the images.
    """
    found: dict[Path, _Found] = {}
    others = set() if others is None else others
    for text in inputs:
        passed_over: set[Path] = set()
        here = list(_find(text, out.resolve(), passed_over))
        if not here:
            there = f"; other files there: {count_endings(passed_over)}" if passed_over else ""
            raise InvalidSettingError(
                f"Expected images in {text}, found none ({' '.join(sorted(ENDINGS))}; the output folder "
                f"is not searched{there})."
            )
        others |= passed_over
        for one in here:
            found.setdefault(one.path.resolve(), one)
    images = _named(list(found.values()))
    _check_apart(found, images, out.resolve())
    return images


def count_endings(files: Iterable[Path]) -> str:
    """How many files there are of each ending, the most frequent first.

    >>> count_endings(map(Path, ("a.HEIC", "b.heic", "c.txt", "README")))
    '.heic 2, .txt 1, without ending 1'
    """
    times = Counter(path.suffix.lower() or "without ending" for path in files)
    return ", ".join(f"{ending} {count:,}" for ending, count in sorted(times.items(), key=_frequent_first))


def _frequent_first(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _find(text: str, out: Path, others: set[Path]) -> Iterator[_Found]:
    """The images of one input; files that are none are added to the others."""
    path = Path(text).expanduser().absolute()
    if path.is_dir():
        for file in _below(path, out, set()):
            if _is_image(file):
                yield _Found(file, path, file.relative_to(path))
            else:
                others.add(file.resolve())
    elif path.exists():
        yield _Found(path, None, Path(path.name))
    elif glob.has_magic(text):
        start = next(index for index, part in enumerate(path.parts) if glob.has_magic(part))
        base, pattern = Path(*path.parts[:start]), Path(*path.parts[start:])
        if pattern.name == "**":
            pattern /= "*"
        for file in sorted(base.glob(str(pattern))):
            relative = file.relative_to(base)
            is_hidden = any(part.startswith(".") for part in relative.parts)
            is_written = base.resolve() != out and out in file.resolve().parents
            if is_hidden or is_written or file.is_dir():
                continue
            if _is_image(file):
                yield _Found(file, base, relative)
            else:
                others.add(file.resolve())
    else:
        raise InvalidSettingError(f"Expected a file, a folder or a pattern, got {text}: there is none.")


def _below(folder: Path, out: Path, seen: set[Path]) -> Iterator[Path]:
    """Files in a folder and all below it, but for the output folder (if it is not the first)."""
    real = folder.resolve()
    if real in seen or (seen and real == out):
        return
    seen.add(real)
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InvalidSettingError(f"Expected a folder that can be read, got {folder}: {error}.") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(entry, out, seen)
        else:
            yield entry


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS


def _named(found: Sequence[_Found]) -> list[InputImage]:
    short = [one.relative.with_suffix("").as_posix() for one in found]
    times = Counter(name.casefold() for name in short)
    images: dict[str, InputImage] = {}
    for one, name in zip(found, short, strict=True):
        if times[name.casefold()] > 1:
            name = f"{name}_{one.path.suffix[1:]}"
        other = images.setdefault(name, InputImage(one.path, name))
        if other.path != one.path:
            raise InvalidSettingError(
                f"Expected images of different names, got {other.path} and {one.path}, which would both "
                f"be written as {name}. Give a folder that holds both, or rename one."
            )
    return list(images.values())


def _check_apart(found: dict[Path, _Found], images: Iterable[InputImage], out: Path) -> None:
    """Nothing that is written may replace an image, or be taken for one by the next run."""
    searched = {one.searched.resolve() for one in found.values() if one.searched is not None}
    reached = {folder for folder in searched if folder not in out.parents}
    for image in images:
        files = image.files(out)
        replaced = next((path for path in files.paths if path in found), None)
        if replaced is not None:
            raise InvalidSettingError(
                f"Expected an output folder in which no image is replaced, got {out}: {replaced} would be. "
                "Choose another."
            )
        mixed = reached.intersection((files.folder, *files.folder.parents))
        if mixed:
            raise InvalidSettingError(
                f"Expected an output folder apart from the images, got {out}, by which {files.label_map} "
                f"would be among the images of {mixed.pop()}. Choose another, such as {out / 'segments'}."
            )
