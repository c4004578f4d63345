"""Where a dataset comes from, and the finding of its files before anything is run on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffseg_cli.errors import DatasetError
from diffseg_core.errors import InvalidSettingError
from diffseg_core.plain_text import read_plain_text


@dataclass(frozen=True)
class Source:
    """What every error about a dataset's files says, so that a person can put them right.

    Attributes:
        name: of the dataset, human-readable.
        layout: its files below the root folder.
        download: where to get it, in whole sentences.
    """

    name: str
    layout: str
    download: str

    def error(self, problem: str) -> DatasetError:
        """The problem, in whole sentences, with the layout that is expected and where to get the files."""
        return DatasetError(f"{problem}\n{self.name} is read as {self.layout}.\n{self.download}")

    def find_folder(self, root: Path, candidates: Sequence[str], pattern: str) -> Path:
        """The first of the folders that holds a file of that pattern.

        Args:
            root: of the dataset.
            candidates: folders below it, "" for the root itself.
            pattern: of the file's name, such as "*.jpg".

        Raises:
            DatasetError: none of them does.
        """
        self.require_root(root)
        folders = [root / candidate for candidate in candidates]
        for folder in folders:
            if visible_files(folder, pattern):
                return folder
        looked = " or ".join(map(str, folders))
        raise self.error(f"Expected {pattern} in {looked}, found none.")

    def require_root(self, root: Path) -> None:
        """Refuse a root that is no folder.

        Raises:
            DatasetError: it is a file, or nothing.
        """
        if not root.is_dir():
            raise self.error(f"Expected the folder of {self.name} in {root}, which is no folder.")

    def require_files(self, paths: Iterable[Path]) -> None:
        """Refuse a dataset that lacks one of these files. Lists each folder once, for slow disks.

        Raises:
            DatasetError: names the first that is missing, and how many are.
        """
        present: dict[Path, set[str]] = {}
        missing = []
        for path in paths:
            folder = path.parent
            if folder not in present:
                present[folder] = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
            if path.name not in present[folder]:
                missing.append(path)
        if missing:
            others = f", and {len(missing) - 1} other files" if len(missing) > 1 else ""
            raise self.error(f"Expected {missing[0]}, which is missing{others}.")


def read_list(path: Path, source: Source) -> tuple[str, ...]:
    """The names of photographs in a file, one a line.

    Raises:
        DatasetError: it cannot be read, is empty, or has a name twice.
    """
    try:
        names = tuple(read_plain_text(path).split())
    except FileNotFoundError:
        raise source.error(f"Expected {path}, which is missing.") from None
    except (OSError, InvalidSettingError) as error:
        raise source.error(
            f"Expected names of photographs in {path}, which cannot be read: {error}."
        ) from error
    if not names or len(set(names)) < len(names):
        raise source.error(
            f"Expected the names of photographs in {path}, each once, "
            f"got {len(names)}, of which {len(set(names))} differ."
        )
    return names


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """The files of that pattern in order, without hidden ones such as macOS leaves beside the others."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
