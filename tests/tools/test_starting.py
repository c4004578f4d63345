"""A ComfyUI that starts slowly is waited for as long as it works, and no longer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from diffseg_tools import starting
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.environment import Installation
from diffseg_tools.prompt_run import ComfyStartError

PATIENCE = 1.0  # seconds
SERVER = """
import http.server, json, subprocess, sys, time

def wait():
    {wait}

class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{{}}")

print("Importing", flush=True)
wait()
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Answers).serve_forever()
"""
WORKS_FOR_LONG = """
    until = "import time; end = time.process_time() + 0.2; start = time.monotonic()\\n"
    until += "while time.process_time() < end or time.monotonic() < start + 1.4: pass"
    for second in range(7): print("Loading", second, flush=True); time.sleep(0.2)
    exec(until)
    subprocess.run([sys.executable, "-c", until])
"""


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A server whose program does this before it answers, with a second's patience."""
    monkeypatch.setattr("diffseg_tools.comfyui.has_accelerator", lambda python: True)
    monkeypatch.setattr(starting, "SIGN_OF_LIFE", 0.5)
    monkeypatch.setattr(starting, "LEAST_WORK", 0.02)  # as much of a second as there is of two minutes

    def make(wait: str) -> ComfyServer:
        (tmp_path / "main.py").write_text(SERVER.format(wait=wait))
        installation = Installation(tmp_path, Path(sys.executable))
        return ComfyServer(installation, tmp_path / "base", pack=None, patience=PATIENCE)

    return make


def test_a_start_takes_as_long_as_it_writes_or_computes_and_says_what_it_does(starts, capsys):
    with starts(WORKS_FOR_LONG.strip()) as server:
        assert server.get("/system_stats") == {}
    said = capsys.readouterr().out.splitlines()
    assert len(said) >= 4
    assert all("Loading" in line for line in said[1:])


def test_a_start_that_does_nothing_is_given_up_with_its_last_lines(starts):
    with (
        pytest.raises(ComfyStartError, match=r"does not answer, and has done nothing for 1 s\.\nImporting"),
        starts("time.sleep(60)"),
    ):
        pass


def test_a_start_that_fails_is_told_with_its_status_and_its_last_lines(starts):
    with (
        pytest.raises(ComfyStartError, match=r"(?s)ended with status 3 while starting\.\nImporting"),
        starts("sys.exit(3)"),
    ):
        pass
