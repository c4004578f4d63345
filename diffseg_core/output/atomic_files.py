"""Files that are whole or not there, also after a process was killed while it wrote them.

A file is written beside its place under a temporary name, short so that the file's own may be as long as the
file system takes, and moved. What a killed process leaves are files
of temporary names alone; `remove_leftovers` removes them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SUFFIX = ".diffseg-tmp"
TEMPORARY = re.compile(rf"\.(.+\.)?[0-9a-f]{{16}}{re.escape(SUFFIX)}")  # once with the file's own name


@contextmanager
def staged_files(contents: Mapping[Path, bytes | Iterable[bytes]]) -> Iterator[Mapping[Path, Path]]:
    """Write files under temporary names, unlike those of any other process; what is not moved is removed.

    Args:
        contents: by the path of the file's place, whole or in parts; folders are created.

    Yields:
        the temporary path of each, to be moved to its place.

    Raises:
        OSError: one cannot be written.
    """
    aside = {path: path.with_name(f".{secrets.token_hex(8)}{SUFFIX}") for path in contents}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with aside[path].open("wb") as file:
                file.writelines([content] if isinstance(content, bytes) else content)
        yield aside
    finally:
        for path in aside.values():
            path.unlink(missing_ok=True)


def write_atomic(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write one file, replacing one of that name.

    Args:
        path: of the file.
        content: of it; in parts where it is large.

    Raises:
        OSError: it cannot be written; one of that name is as before.
    """
    with staged_files({path: content}) as aside:
        aside[path].replace(path)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in a folder; none may be writing there now, on any machine."""
    if folder.is_dir():
        for path in folder.iterdir():
            if TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)
