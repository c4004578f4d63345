"""Check and test the code in `web/`: `python -m diffseg_tools.javascript check` or `test`.

The type checker comes from npm into `.cache/npm`, in the version of `tools/web/package-lock.json`. The tests
need nothing but Node.js.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from .steps import CACHE, ROOT, SetupError, Steps, run_quietly

PROJECT = ROOT / "tools" / "web"
TESTS = ROOT / "tests" / "web"
PACKAGES = CACHE / "npm"
OLDEST_NODE = 20
INSTALL_NODE = (
    f"Node.js {OLDEST_NODE} or newer with npm is needed to check the code in web/. Install it from "
    "https://nodejs.org, or with your system's package manager, and try again. "
    "`make demo` and `make serve` work without it."
)


def program(name: str) -> str:
    """Where `node` or `npm` is.

    Raises:
        SetupError: it is not there, or too old.
    """
    path = shutil.which(name)
    if path is None:
        raise SetupError(f"There is no {name}. {INSTALL_NODE}")
    if name == "node":
        answer = subprocess.run([path, "--version"], capture_output=True, text=True)
        version = answer.stdout.strip()
        if not version[1:].partition(".")[0].isdigit() or int(version[1:].partition(".")[0]) < OLDEST_NODE:
            raise SetupError(f"{path} is version {version or 'unknown'}. {INSTALL_NODE}")
    return path


def prepare() -> None:
    """Install the pinned packages, unless they are there already."""
    lock = PROJECT / "package-lock.json"
    stamp = PACKAGES / "diffseg.stamp"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()

    def install() -> None:
        npm = program("npm")
        PACKAGES.mkdir(parents=True, exist_ok=True)
        for source in (PROJECT / "package.json", lock):
            shutil.copyfile(source, PACKAGES / source.name)
        options = ["--prefix", str(PACKAGES), "--ignore-scripts", "--no-audit", "--no-fund"]
        run_quietly([npm, "ci", *options], "npm ci", "The npm registry is needed once, to fetch TypeScript.")
        stamp.write_text(digest)

    known = stamp.is_file() and stamp.read_text() == digest
    Steps(total=1).do("Installing the type checker for web/ (seconds)", not known, install)


def check() -> int:
    """Check the types in `web/`; the exit status."""
    node = program("node")
    prepare()
    compiler = PACKAGES / "node_modules" / "typescript" / "bin" / "tsc"
    return subprocess.run([node, str(compiler), "--project", str(PROJECT)], cwd=ROOT).returncode


def test() -> int:
    """Run the tests of the modules in `web/` that need no browser; the exit status."""
    files = sorted(str(path.relative_to(ROOT)) for path in Path(TESTS).glob("*.test.mjs"))
    return subprocess.run([program("node"), "--test", "--test-reporter=spec", *files], cwd=ROOT).returncode


def rewritten(workflow: Any, object_info: Any) -> Any:
    """A workflow once the pack's extension has brought nodes of earlier versions into today's form.

    Args:
        workflow: in UI format, as it was saved.
        object_info: the server's answer to ``GET /object_info``.
    """
    content = json.dumps({"workflow": workflow, "definitions": object_info})
    script = TESTS / "rewrite_saved.mjs"
    answer = subprocess.run(
        [program("node"), script], input=content, capture_output=True, text=True, check=True
    )
    return json.loads(answer.stdout)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Check or test the code in web/.")
    parser.add_argument("task", choices=["check", "test"])
    try:
        return check() if parser.parse_args().task == "check" else test()
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
