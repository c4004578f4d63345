"""Gather the freely licensed photographs that the demo model is trained on.

Every image comes out of a Debian package whose own files name its author and licence:

* ``gcompris-qt-data``: photographs of animals, monuments and musicians, packed in Qt resource
  files, credited one by one in the README beside them;
* ``lomiri-wallpapers-16.04`` and ``-20.04``: photographs credited in the package's copyright file.

Run on a Debian or Ubuntu machine (``apt-get`` and ``dpkg-deb`` are used, no root needed)::

    python -m training.photographs --out build/photographs --credits demo_model/PHOTOGRAPHS.md
"""

from __future__ import annotations

import argparse
import re
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

PACKAGES = ("gcompris-qt-data", "lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04")
RESOURCES = (
    "erase",
    "explore_farm_animals",
    "explore_monuments",
    "explore_world_animals",
    "explore_world_music",
)
SHORT_SIDE = 640  # pixels kept of every photograph; training never needs more
MINIMUM_SIDE = 340
# Of the wallpapers, these are drawings or patterns rather than photographs.
NOT_PHOTOGRAPHS = ("analogpattern", "free_by", "greentock", "Painting-Colors", "Fossa", "Infinite-Sea")


@dataclass(frozen=True)
class Photograph:
    """One image with the credit that its package gives."""

    name: str
    path: Path
    author: str
    licence: str
    source: str
    package: str


def unpack_rcc(file: Path, out: Path) -> None:
    """Unpack a binary Qt resource file (format version 1 to 3) into the folder ``out``.

    Raises:
        ValueError: the file is not a Qt resource file, or holds an entry compressed with zstd.
    """
    data = file.read_bytes()
    if data[:4] != b"qres":
        raise ValueError(f"Expected a Qt resource file starting with 'qres', got {data[:4]!r}: {file}")
    version, tree, content, names = struct.unpack(">IIII", data[4:20])
    entry_size = 14 if version == 1 else 22

    def name_at(offset: int) -> str:
        start = names + offset
        (length,) = struct.unpack_from(">H", data, start)
        return data[start + 6 : start + 6 + 2 * length].decode("utf-16-be")

    def walk(index: int, parent: Path) -> None:
        offset = tree + index * entry_size
        name_offset, flags = struct.unpack_from(">IH", data, offset)
        path = parent / name_at(name_offset) if index else parent
        if flags & 2:  # a folder
            count, first = struct.unpack_from(">II", data, offset + 6)
            for child in range(first, first + count):
                walk(child, path)
            return
        (start,) = struct.unpack_from(">I", data, offset + 10)
        (length,) = struct.unpack_from(">I", data, content + start)
        body = data[content + start + 4 : content + start + 4 + length]
        if flags & 4:
            raise ValueError(f"{file}: {path} is compressed with zstd, which this reader does not know")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zlib.decompress(body[4:]) if flags & 1 else body)

    walk(0, out)


def credits_from_readme(readme: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield ``(file, author, licence, source)`` from a GCompris README of credit paragraphs."""
    for paragraph in re.split(r"\n\s*\n", readme.read_text(encoding="utf-8")):
        fields: dict[str, str] = {}
        key = ""
        for line in paragraph.splitlines():
            match = re.match(r"(Copyright|License|Source|Comments?|Files?):\s*(.*)", line)
            if match:
                key = match[1].rstrip("s")
                fields[key] = (fields.get(key, "") + "\n" + match[2]).strip()
            elif key:
                fields[key] = (fields[key] + "\n" + line.strip()).strip()
        for file in fields.get("File", "").split():
            author = ", ".join(fields.get("Copyright", "").lstrip("© ").splitlines())
            yield file, author, fields.get("License", ""), fields.get("Source", "")


def credits_from_copyright(copyright_file: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield ``(file, author, licence, source)`` from a Debian machine-readable copyright file."""
    text = copyright_file.read_text(encoding="utf-8")
    pattern = r"^Files: (\d\d\.04/\S+)\nCopyright: (.+)\nLicense: (\S+)"
    for file, author, licence in re.findall(pattern, text, re.MULTILINE):
        yield Path(file).name, author.strip(), licence, ""


def find_photographs(unpacked: Path) -> Iterator[Photograph]:
    """Yield every credited photograph of the packages unpacked under ``unpacked/<package>``."""
    games = unpacked / "gcompris-qt-data"
    for resource in RESOURCES:
        out = games / "rcc" / resource
        unpack_rcc(games / "usr/share/gcompris-qt/rcc" / f"{resource}.rcc", out)
        for readme in sorted(out.rglob("README")):
            for file, author, licence, source in credits_from_readme(readme):
                path = readme.parent / file
                if path.suffix == ".webp" and path.exists():
                    name = f"{resource}-{path.stem}"
                    yield Photograph(name, path, author, licence, source, "gcompris-qt-data")
    for package in PACKAGES[1:]:
        root = unpacked / package / "usr/share"
        for file, author, licence, source in credits_from_copyright(root / "doc" / package / "copyright"):
            path = root / "backgrounds" / file
            if path.exists() and not file.startswith(NOT_PHOTOGRAPHS):
                yield Photograph(f"lomiri-{path.stem}", path, author, licence, source, package)


def download(packages: tuple[str, ...], folder: Path) -> None:
    """Download Debian packages and unpack each into ``folder/<package>``."""
    for package in packages:
        subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True)
        (archive,) = folder.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, folder / package], check=True)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the photographs, as PNG")
    parser.add_argument("--credits", type=Path, required=True, help="Markdown table of authors and licences")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        download(PACKAGES, folder)
        for photograph in sorted(find_photographs(folder), key=lambda p: p.name):
            image = Image.open(photograph.path).convert("RGB")
            if min(image.size) < MINIMUM_SIDE:
                continue
            scale = min(1.0, SHORT_SIDE / min(image.size))
            size = (round(image.width * scale), round(image.height * scale))
            image.resize(size, Image.Resampling.LANCZOS).save(arguments.out / f"{photograph.name}.png")
            source = f"[source]({photograph.source})" if photograph.source else ""
            rows.append(
                f"| {photograph.name} | {photograph.author} | {photograph.licence} "
                f"| {photograph.package} {source} |"
            )
    header = (
        "# Photographs that the demo model was trained on\n\n"
        f"{len(rows)} photographs, as credited in the Debian packages that carry them. "
        "None of them is in this repository.\n\n"
        "| photograph | author | licence | package |\n| --- | --- | --- | --- |\n"
    )
    arguments.credits.parent.mkdir(parents=True, exist_ok=True)
    arguments.credits.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    print(f"{len(rows)} photographs in {arguments.out}, credits in {arguments.credits}")


if __name__ == "__main__":
    main()
