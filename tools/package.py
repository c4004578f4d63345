"""`make package`: dist/diffseg.zip, the archive that the registry serves and that ComfyUI's Manager unpacks.

It holds the files that git tracks, without those that .comfyignore names, as `comfy node publish` packs them.
"""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pathspec

from .steps import ROOT

ARCHIVE = ROOT / "dist" / "diffseg.zip"
IGNORED = ".comfyignore"


def shipped_files(root: Path = ROOT) -> list[str]:
    """The files that are shipped, by their paths from the root with "/", in order.

    Args:
        root: of a checkout.
    """
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z"], check=True, capture_output=True, encoding="utf-8"
    )
    lines = (root / IGNORED).read_text(encoding="utf-8").splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    ignored = pathspec.PathSpec.from_lines("gitignore", patterns)  # "gitwildmatch" in its releases before 1.0
    tracked = sorted(filter(None, listed.stdout.split("\0")))
    return [name for name in tracked if (root / name).is_file() and not ignored.match_file(name)]


def build_archive(archive: Path, root: Path = ROOT) -> list[str]:
    """Write the archive, replacing one of that name.

    Args:
        archive: its path; folders are created.
        root: of a checkout.

    Returns:
        what is in it, as of `shipped_files`.
    """
    names = shipped_files(root)
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            packed.write(root / name, name)
    return names


def main() -> None:
    """Write dist/diffseg.zip."""
    names = build_archive(ARCHIVE)
    size = ARCHIVE.stat().st_size / 1e6
    print(f"{ARCHIVE.relative_to(ROOT)}: {len(names)} files, {size:.1f} MB")


if __name__ == "__main__":
    main()
