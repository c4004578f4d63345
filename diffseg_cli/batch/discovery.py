"""Which images a run is of, and what the files of each are called.

An input is a file or a folder:

- a file is taken whatever its ending, and called by its name without the ending;
- a folder is searched with everything below it for images, by the usual endings. They are called by their
  path below the folder, without the ending: ``holiday/beach.jpg`` is ``holiday/beach``.

Names that begin with a dot are passed over, and so is the output folder where it lies in a folder that is
searched. Links are followed, each folder once. Two images that would have one name (in letters of either
case) keep their endings in it: ``x.jpg`` and ``x.png`` are ``x_jpg`` and ``x_png``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def find_images(inputs: Sequence[str], out: Path, passed_over: set[Path] | None = None) -> list[InputImage]:
    """The images of a run, each once, in the order of the inputs and sorted within each.

    Args:
        inputs: files and folders.
        out: the output folder, which need not exist.
        passed_over: to this are added the files in the folders that have not the ending of an image.

    Raises:
        InvalidSettingError: an input that is not there or has no images, images of the same name or of one
            too long for the names of their files, or an output folder that would mix what is written with
            the images.
    """
    out = out.resolve()
    places: dict[Path, tuple[Path, Path]] = {}  # by the real path: the image, and its path below the input
    searched: set[Path] = set()
    for text in inputs:
        path = Path(text).expanduser().absolute()
        if not path.exists():
            raise InvalidSettingError(f"Expected a file or a folder, got {text}: there is none.")
        if not path.is_dir():
            places.setdefault(path.resolve(), (path, Path(path.name)))
            continue
        searched.add(path.resolve())
        files = list(_below(path, out, set()))
        images = [file for file in files if file.suffix.lower() in ENDINGS]
        no_images = {file.resolve() for file in files} - {file.resolve() for file in images}
        if not images:
            there = f"; other files there: {count_endings(no_images)}" if no_images else ""
            raise InvalidSettingError(
                f"Expected images in {text}, found none ({' '.join(sorted(ENDINGS))}; the output folder "
                f"is not searched{there})."
            )
        if passed_over is not None:
            passed_over |= no_images
        for image in images:
            places.setdefault(image.resolve(), (image, image.relative_to(path)))
    named = _named(list(places.values()))
    _check_apart(places, searched, named, out)
    return named


def count_endings(files: Iterable[Path]) -> str:
    """How many files there are of each ending, the most frequent first.

    >>> count_endings(map(Path, ("a.HEIC", "b.heic", "c.txt", "README")))
    '.heic 2, .txt 1, without ending 1'
    """
    times = Counter(sorted(path.suffix.lower() or "without ending" for path in files))
    return ", ".join(f"{ending} {count:,}" for ending, count in times.most_common())


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


def _named(places: Sequence[tuple[Path, Path]]) -> list[InputImage]:
    short = [relative.with_suffix("").as_posix() for _, relative in places]
    times = Counter(name.casefold() for name in short)
    images: dict[str, InputImage] = {}
    for (path, _), name in zip(places, short, strict=True):
        if times[name.casefold()] > 1:
            name = f"{name}_{path.suffix[1:]}"
        image = images.setdefault(name, InputImage(path, name))
        if image.path != path:
            raise InvalidSettingError(
                f"Expected images of different names, got {image.path} and {path}, which would both "
                f"be written as {name}. Give a folder that holds both, or rename one."
            )
    return list(images.values())


def _check_apart(
    places: Mapping[Path, object], searched: set[Path], images: Iterable[InputImage], out: Path
) -> None:
    """Nothing that is written may replace an image, or be taken for one by the next run."""
    reached = {folder for folder in searched if folder not in out.parents}
    for image in images:
        files = image.files(out)
        check_lengths(path.relative_to(out) for path in files.paths)
        replaced = next((path for path in files.paths if path in places), None)
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
