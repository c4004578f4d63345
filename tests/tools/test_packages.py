"""Packages are installed by uv with what pip was told, and by pip where uv cannot do it.

uv and pip are other people's programs and need a network, so these write down how they are called instead.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from diffseg_tools.packages import UV, Installer, pip_settings, uv_settings
from diffseg_tools.steps import SetupError, Steps, venv_python

FAKE = """#!{python}
import json, os, sys
name, arguments = {name!r}, sys.argv[1:]
with open({log!r}, "a") as log:
    told = {{key: value for key, value in os.environ.items() if key.startswith("UV_")}}
    log.write(json.dumps([name, arguments, told]) + "\\n")
if arguments[-2:] == ["config", "list"]:
    print({listing!r})
failing = {failing!r}
if failing and failing in arguments:
    print("Using Python 3.11")
    print("error: no such luck")
    sys.exit(1)
"""

Calls = list[tuple[str, list[str], dict[str, str]]]


@pytest.fixture
def fake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Installer, Callable[[], Calls]]]:
    """A virtual environment with a pip and a uv that do nothing, and what they were called with so far."""
    for name in list(os.environ):
        if name.startswith(("UV_", "PIP_")):
            monkeypatch.delenv(name)

    def make(
        listing: str = "", pip_fails: str = "", uv_fails: str = ""
    ) -> tuple[Installer, Callable[[], Calls]]:
        log = tmp_path / "calls"
        python = venv_python(tmp_path)
        python.parent.mkdir()
        for program, failing in ((python, pip_fails), (python.with_name("uv"), uv_fails)):
            names = {"python": sys.executable, "name": program.name, "log": str(log)}
            program.write_text(FAKE.format(**names, listing=listing, failing=failing))
            program.chmod(0o755)
        return Installer(tmp_path), lambda: [json.loads(line) for line in log.read_text().splitlines()]

    return make


def test_uv_installs_with_the_mirror_that_pip_is_told_of_and_once_only(fake, tmp_path):
    installer, calls = fake(":env:.index-url='https://mirror.example/simple'\nglobal.no-index='false'")
    for _ in range(2):
        installer.ensure(Steps(total=1), "", "torch", ["torch==1", "numpy"], ["torchaudio==1"])
    fetched, asked, *installed = calls()
    assert fetched[:2] == ["python", [*fetched[1][:-1], UV]]
    assert asked[1][-2:] == ["config", "list"]
    call = ["pip", "install", "--python", str(venv_python(tmp_path))]
    assert [run[:2] for run in installed] == [
        ["uv", [*call, "torch==1", "numpy"]],
        ["uv", [*call, "--no-deps", "torchaudio==1"]],
    ]
    assert all(run[2]["UV_DEFAULT_INDEX"] == "https://mirror.example/simple" for run in installed)


@pytest.mark.parametrize("failing", ["pip_fails", "uv_fails"])
def test_where_uv_cannot_be_had_or_fails_pip_installs_and_it_is_said_once(fake, capsys, failing):
    installer, calls = fake(**{failing: {"pip_fails": UV, "uv_fails": "numpy"}[failing]})
    for requirement in ("numpy", "scipy"):
        installer.install(requirement)
    by_pip = [arguments for program, arguments, _ in calls() if program == "python"]
    assert [arguments[-2:] for arguments in by_pip[-2:]] == [["install", "numpy"], ["install", "scipy"]]
    said = capsys.readouterr().out
    assert said.count("slower") == said.count("uv ") == 1
    assert ("error: no such luck" in said) == (failing == "uv_fails")


def test_what_neither_can_install_is_refused_with_pips_words_and_what_to_do(fake):
    installer, _ = fake(pip_fails="numpy", uv_fails="numpy")
    with pytest.raises(SetupError, match=r"(?s)^pip install numpy failed:.*no such luck.*set COMFYUI_DIR"):
        installer.install("numpy")


def test_uv_is_told_what_pip_is_told():
    listing = """
        global.index-url='https://mirror.example/simple'
        global.extra-index-url='https://one.example/simple\\nfile:///two'
        global.trusted-host='mirror.example\\none.example'
        global.cert="/it's/bundle.pem"
        global.proxy='http://proxy.example:8080'
        global.find-links='/old'
        install.find-links='/wheels ./more'
        install.no-binary=':all:'
        :env:.no-index='1'
        :env:.constraint='/constraints.txt'
        :env:.timeout='30'
        download.find-links='/elsewhere'
        user = nonsense
    """
    environ, options = uv_settings(pip_settings(listing), {"UV_INSECURE_HOST": "mine.example"})
    assert environ == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://one.example/simple file:///two",
        "UV_HTTP_TIMEOUT": "30",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "SSL_CERT_FILE": "/it's/bundle.pem",
        **dict.fromkeys(
            ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"], "http://proxy.example:8080"
        ),
    }
    assert options == [
        *("--find-links", "/wheels", "--find-links", "./more"),
        *("--no-binary", ":all:", "--no-index", "--constraint", "/constraints.txt"),
    ]


def test_without_byte_code_written_at_imports_uv_compiles_at_the_installation():
    assert "UV_COMPILE_BYTECODE" not in uv_settings({}, {})[0]
    assert uv_settings({}, {"PYTHONDONTWRITEBYTECODE": "1"})[0]["UV_COMPILE_BYTECODE"] == "1"
    mine = {"PYTHONDONTWRITEBYTECODE": "1", "UV_COMPILE_BYTECODE": "0"}
    assert "UV_COMPILE_BYTECODE" not in uv_settings({}, mine)[0]
