"""Prepare what `make demo` and `make test` need: a virtual environment and a ComfyUI.

Uses the standard library only, because it runs before anything is installed. What is done already is not done
again. Call it as `python3 -m tools.environment [--dev] [--comfyui VERSION ...] [--run MODULE]`, or with
`--newest`, or import it.

Everything lies in `.venv` and `.cache` of the repository; removing both starts afresh. Where the environment
variable COMFYUI_DIR names an installation of ComfyUI, that one is used as it is and nothing is installed;
COMFYUI_PYTHON then names its interpreter, if it is not in one of the usual places.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .packages import Installer
from .releases import RELEASES, fetch
from .steps import CACHE, ROOT, VENV, SetupError, Steps, venv_python

TORCH = ["torch==2.14.1", "torchvision==0.29.1"]
TORCHAUDIO = ["torchaudio==2.11.0"]  # runs with this torch; ComfyUI imports it when it starts
FRONT_END = "comfyui-frontend-package"

NEWEST, OLDEST = "0.30.0", "0.20.1"
NEWEST_VENV = CACHE / "venv-newest"


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
        _, assigned, rest = text.partition('__version__ = "')
        return rest.partition('"')[0] if assigned else "unknown"


def prepare(versions: Sequence[str] = (NEWEST,), dev: bool = False) -> Installation:
    """Set up whatever is missing and return the ComfyUI to use (the first of the versions).

    Args:
        versions: which releases of ComfyUI to fetch. Their packages are always those of the newest.
        dev: also what the tests need. They run on the pinned releases, whatever COMFYUI_DIR says.

    Raises:
        SetupError: with what went wrong and what to do.
    """
    installed = None if dev else own_installation(os.environ)
    if installed is not None:
        print(
            f"Using ComfyUI {installed.version} in {installed.directory} with {installed.python}", flush=True
        )
        return installed
    steps, installer = Steps(total=5 if dev else 4), Installer(VENV)
    _create_venv(steps, VENV)
    _fetch_all(steps, installer, list(dict.fromkeys([*versions, NEWEST])))
    _install_comfyui(steps, installer, _comfyui_requirements(_fetched(NEWEST)))
    if dev:
        _install_tests(steps, installer)
    return Installation(_fetched(versions[0]), venv_python(VENV))


def prepare_newest() -> Installation:
    """Set up what `make test-newest` needs, in an environment of its own, and return the ComfyUI to test.

    That is the one in COMFYUI_DIR, or else the newest of the pinned releases, with the packages that it asks
    for, but with the newest front end that the package index has.

    Raises:
        SetupError: with what went wrong and what to do.
    """
    installed = own_installation(os.environ)
    directory = installed.directory if installed else _fetched(NEWEST)
    steps, installer = Steps(total=6), Installer(NEWEST_VENV)
    _create_venv(steps, NEWEST_VENV)
    _fetch_all(steps, installer, [] if installed else [NEWEST])
    requirements = _comfyui_requirements(directory)
    _install_comfyui(steps, installer, [line for line in requirements if not line.startswith(FRONT_END)])
    _install_tests(steps, installer)
    title = "Installing the newest front end (seconds)"
    steps.do(title, True, lambda: installer.install("--upgrade", FRONT_END))
    return Installation(directory, venv_python(NEWEST_VENV))


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
        program = shutil.which(Path(environ["COMFYUI_PYTHON"]).expanduser())
        if program is None:
            raise SetupError(f"COMFYUI_PYTHON is {environ['COMFYUI_PYTHON']}, which is not a program.")
        return Installation(directory, Path(program).absolute())
    usual = [venv_python(directory / ".venv"), venv_python(directory / "venv")]
    usual.append(directory.parent / "python_embeded" / "python.exe")  # sic: ComfyUI's portable edition
    interpreter = next((python for python in usual if python.is_file()), None)
    return Installation(directory, interpreter or Path(shutil.which("python3") or sys.executable))


def installation_in_use() -> Installation:
    """The installation that this process was started for by `--run`; otherwise the one that was prepared."""
    if "DIFFSEG_COMFYUI" in os.environ:
        return Installation(Path(os.environ["DIFFSEG_COMFYUI"]), Path(sys.executable))
    return own_installation(os.environ) or Installation(comfyui_directory(NEWEST), venv_python(VENV))


def comfyui_directory(version: str) -> Path:
    """Where a fetched release of ComfyUI lies.

    The environment variable DIFFSEG_NEWEST names a folder that stands in for the newest, so that `make
    test-newest` can have the tests run on another ComfyUI.
    """
    stand_in = os.environ.get("DIFFSEG_NEWEST") if version == NEWEST else None
    return Path(stand_in).expanduser().resolve() if stand_in else _fetched(version)


def _fetched(version: str) -> Path:
    return CACHE / f"ComfyUI-{version}"


def _create_venv(steps: Steps, venv: Path) -> None:
    def action() -> None:
        made = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True)
        if made.returncode != 0:
            shutil.rmtree(venv, ignore_errors=True)
            raise SetupError(
                f"{sys.executable} cannot create a virtual environment "
                f"(Debian and Ubuntu need the package python3-venv for it):\n{made.stdout}{made.stderr}"
            )

    title = f"Creating the virtual environment {venv.relative_to(ROOT)}"
    steps.do(title, not venv_python(venv).is_file(), action)


def _fetch_all(steps: Steps, installer: Installer, versions: Sequence[str]) -> None:
    missing = [version for version in versions if not (_fetched(version) / "main.py").is_file()]

    def action() -> None:
        for version in missing:
            fetch(RELEASES[version], _fetched(version), installer)

    steps.do(f"Fetching ComfyUI {', '.join(missing)} (seconds)", bool(missing), action)


def _install_comfyui(steps: Steps, installer: Installer, requirements: Sequence[str]) -> None:
    title = "Installing PyTorch (half a minute to some minutes: it is large)"
    installer.ensure(steps, title, "torch", TORCH, TORCHAUDIO)
    installer.ensure(steps, "Installing ComfyUI's packages (up to a minute)", "comfyui", requirements)


def _install_tests(steps: Steps, installer: Installer) -> None:
    requirements = _requirement_lines(ROOT / "tools" / "requirements-dev.txt")
    installer.ensure(steps, "Installing developer packages (up to a minute)", "dev", requirements)
    _link_packages(installer.venv)


def _requirement_lines(path: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def _comfyui_requirements(directory: Path) -> list[str]:
    """ComfyUI's own requirements, but for torch, torchvision and torchaudio, which are pinned here."""
    lines = _requirement_lines(directory / "requirements.txt")
    return [line for line in lines if line not in ("torch", "torchvision", "torchaudio")]


def _link_packages(venv: Path) -> None:
    """Make the core, the command, `diffseg_tools` (this folder) and the benchmarks importable in `venv`.

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
        "diffseg_eval": "diffseg_eval",
        "diffseg_tools": "tools",
        "diffseg_benchmarks": "benchmarks",
        "diffseg_pack/diffseg_core": "diffseg_core",
        "diffseg_pack/nodes": "nodes",
    }
    for name, folder in links.items():
        link_directory(library / name, ROOT / folder)
    query = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    answer = subprocess.run([str(venv_python(venv)), "-c", query], check=True, capture_output=True, text=True)
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
    parser.add_argument("--newest", action="store_true", help="prepare the tests on the newest hosts instead")
    parser.add_argument("--run", metavar="MODULE", help="then run this module")
    arguments = parser.parse_args()
    try:
        if arguments.newest:
            installation = prepare_newest()
            print(f"ComfyUI {installation.version} in {installation.directory}", flush=True)
        else:
            installation = prepare(arguments.comfyui or [NEWEST], arguments.dev)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return run_module(installation, arguments.run) if arguments.run else 0


if __name__ == "__main__":
    if sys.version_info < (3, 10):  # noqa: UP036 (this file runs on whatever Python there is)
        sys.exit("error: Python 3.10 or newer is needed, as in: make demo PYTHON=python3.12")
    sys.exit(main())
