"""Packages of a virtual environment: installed by uv, which takes a fraction of pip's time, or else by pip.

uv is a package on the index like any other, and comes by pip. It does not read pip's configuration, so what
is set there (a company's mirror, a proxy, constraints) is handed on to it. Where uv cannot be had or fails,
pip does the work. What uv fetched stays in its own cache, for every environment of this machine.

Uses the standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .steps import ROOT, SetupError, Steps, run_quietly, venv_python

UV = "uv>=0.5,<1"
OWN_COMFYUI = (
    "If this machine has no such packages, install ComfyUI yourself "
    "(https://github.com/comfyanonymous/ComfyUI), set COMFYUI_DIR to its folder, and try again: "
    "its own interpreter and packages are used then."
)
SETTING = re.compile(r"(global|install|:env:)\.([\w-]+)=('.*'|\".*\")")
ENVIRONMENT = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
    "no-cache-dir": "UV_NO_CACHE",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
}
"""Options of pip, and the environment variable by which uv takes the same."""
OPTIONS = {
    "find-links": "--find-links",
    "constraint": "--constraint",
    "only-binary": "--only-binary",
    "no-binary": "--no-binary",
}
"""Options of pip with any number of values, and uv's option for each value."""
SWITCHES = {"no-index": ["--no-index"], "pre": ["--prerelease", "allow"]}


class Installer:
    """Installs packages into one virtual environment.

    Args:
        venv: its folder; it must have pip.
    """

    def __init__(self, venv: Path) -> None:
        self.venv = venv
        self._is_tried = False
        self._uv: list[str] | None = None
        self._environ: dict[str, str] = {}

    def ensure(
        self,
        steps: Steps,
        title: str,
        name: str,
        requirements: Sequence[str],
        without_deps: Sequence[str] = (),
    ) -> None:
        """Install as a step, unless the stamp of that name shows that just this was installed before.

        Raises:
            SetupError: they cannot be installed.
        """
        stamp = self.venv / f"diffseg-{name}.stamp"
        digest = hashlib.sha256("\n".join([*requirements, "--", *without_deps]).encode()).hexdigest()
        known = stamp.is_file() and stamp.read_text() == digest

        def action() -> None:
            self.install(*requirements)
            if without_deps:
                self.install("--no-deps", *without_deps)
            stamp.write_text(digest)

        steps.do(title, not known, action)

    def install(self, *arguments: str) -> None:
        """Install requirements, with uv if possible.

        Args:
            arguments: requirements, and options that uv and pip both have (``--upgrade``, ``--no-deps``).

        Raises:
            SetupError: pip cannot do it either.
        """
        if not self._is_tried:
            self._is_tried = True
            self._fetch_uv()
        if self._uv is not None:
            try:
                run_quietly([*self._uv, *arguments], "uv pip install", "", self._environ)
                return
            except SetupError as error:
                self._uv = None
                print(f"      uv failed, so pip does it, which is slower ({_reason(error)})", flush=True)
        self.pip("install", *arguments)

    def pip(self, *arguments: str) -> None:
        """Run the virtual environment's pip.

        Raises:
            SetupError: it fails.
        """
        run_quietly([*self._pip, *arguments], f"pip {' '.join(arguments)}", OWN_COMFYUI)

    @property
    def _pip(self) -> list[str]:
        return [str(venv_python(self.venv)), "-m", "pip", "--disable-pip-version-check", "--no-input"]

    def _fetch_uv(self) -> None:
        python = venv_python(self.venv)
        # Only a wheel: to build uv takes longer than all that it could save. And no patience with the index:
        # pip has it later.
        options = ["--only-binary", "uv", "--retries", "1"]
        try:
            run_quietly([*self._pip, "install", *options, UV], "pip install uv", "")
        except SetupError:
            print("      uv cannot be had here, so pip installs all, which is slower", flush=True)
            return
        environ, options = uv_settings(self._pip_settings(), os.environ)
        self._environ = {**os.environ, **environ}
        uv = python.with_name("uv.exe" if os.name == "nt" else "uv")
        self._uv = [str(uv), "pip", "install", "--python", str(python), *options]

    def _pip_settings(self) -> dict[str, str]:
        """What pip is told by its files and its environment variables."""
        environ = {**os.environ, "PIP_QUIET": "0"}  # which may be set, and silences this too
        command = [*self._pip, "config", "list"]
        answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environ)
        return pip_settings(answer.stdout)


def pip_settings(listing: str) -> dict[str, str]:
    """The options that hold for `pip install`, out of what `pip config list` prints.

    Args:
        listing: lines such as ``global.index-url='https://mirror.example/simple'``.

    Returns:
        Their values by name, several of them apart by white space. A variable of the environment counts more
        than the section ``install`` of a file, and that more than the section ``global``.
    """
    by_section: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        match = SETTING.fullmatch(line.strip())
        if match:
            section, name, value = match.groups()
            by_section[section][name.replace("_", "-")] = ast.literal_eval(value)
    return by_section["global"] | by_section["install"] | by_section[":env:"]


def uv_settings(settings: Mapping[str, str], environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """How uv is told what pip is told.

    Args:
        settings: pip's options, as from ``pip_settings``.
        environ: the environment. What is set there for uv itself stays as it is.

    Returns:
        Further environment variables, and options of `uv pip install`. Addresses of indexes, which may hold a
        password, are among the former.
    """
    variables: dict[str, str] = {}
    if environ.get("REQUESTS_CA_BUNDLE") and not environ.get("SSL_CERT_FILE"):  # only pip heeds the former
        variables["SSL_CERT_FILE"] = environ["REQUESTS_CA_BUNDLE"]
    for name in filter(settings.__contains__, ENVIRONMENT):
        variables[ENVIRONMENT[name]] = " ".join(settings[name].split())
    if settings.get("proxy"):
        variables |= dict.fromkeys(
            ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"], settings["proxy"]
        )
    # As pip: the best version of all indexes, whichever is named first.
    variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if environ.get("PYTHONDONTWRITEBYTECODE"):  # or every start would compile all that it imports
        variables["UV_COMPILE_BYTECODE"] = "1"
    variables = {
        name: value for name, value in variables.items() if not (name.startswith("UV_") and environ.get(name))
    }
    options = [part for name, value in settings.items() for part in _options(name, value)]
    return variables, options


def _options(name: str, value: str) -> list[str]:
    if name in SWITCHES:
        return SWITCHES[name] if value.lower() in ("1", "true", "yes", "on") else []
    if name in OPTIONS:
        values = value.replace(",", " ").split() if name.endswith("-binary") else value.split()
        return [part for one in values for part in (OPTIONS[name], one)]
    return []


def _reason(error: SetupError) -> str:
    """The beginning of uv's complaint, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    start = next((number for number, line in enumerate(lines) if line.startswith(("error:", "×", "x "))), -1)
    return " ".join(lines[start:])[:300]
