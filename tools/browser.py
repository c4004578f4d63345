"""The browser that the tests drive: `python -m diffseg_tools.browser` finds one or installs it.

Any Chromium will do: Chromium itself, Chrome, Edge, or the one that Playwright fetches. The environment
variable DIFFSEG_BROWSER names another one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from .steps import SetupError, Steps, run_quietly

NAMES = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
    "chrome",
]
PLACES = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
]
INSTALL_BROWSER = (
    "The browser tests need Chromium, Chrome or Edge. Install one (on Debian: `apt-get install chromium`), "
    "or set DIFFSEG_BROWSER to the program of one that is not in a usual place, and try again."
)


def find_browser() -> Path | None:
    """A browser that is installed, or None.

    Raises:
        SetupError: DIFFSEG_BROWSER names something that does not run.
    """
    named = os.environ.get("DIFFSEG_BROWSER")
    if named:
        program = shutil.which(Path(named).expanduser())
        if program is None or not _runs(Path(program)):
            raise SetupError(f"DIFFSEG_BROWSER is {named}, which is not a program that runs.")
        return Path(program)
    installed = [Path(path) for path in map(shutil.which, [*NAMES, *PLACES]) if path]
    return next((path for path in installed if _runs(path)), None) or _playwrights_own()


def prepare() -> Path:
    """Find a browser, or install one.

    Raises:
        SetupError: there is none, and none could be installed. The message says what to do.
    """
    browser = find_browser()
    if browser is None:
        Steps(total=1).do("Installing Chromium for the browser tests (about 1 minute)", True, _install)
        browser = find_browser()
    if browser is None:
        raise SetupError(INSTALL_BROWSER)
    return browser


def _runs(path: Path) -> bool:
    """Whether a program starts: Ubuntu's package `chromium` may be a mere pointer to another shop."""
    if os.name == "nt":  # where Chrome would open a window
        return path.is_file()
    return subprocess.run([str(path), "--version"], capture_output=True).returncode == 0


def _playwrights_own() -> Path | None:
    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return path if path.is_file() else None


def _install() -> None:
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        run_quietly(["apt-get", "update"], "apt-get update", INSTALL_BROWSER)
        options = ["--yes", "--no-install-recommends"]
        run_quietly(["apt-get", "install", *options, "chromium"], "apt-get install chromium", INSTALL_BROWSER)
    if find_browser() is None:
        fetch = [sys.executable, "-m", "playwright", "install", "chromium"]
        run_quietly(fetch, "playwright install chromium", INSTALL_BROWSER)


if __name__ == "__main__":
    try:
        print(f"Browser tests will use {prepare()}")
    except SetupError as error:
        sys.exit(f"error: {error}")
