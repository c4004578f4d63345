"""A ComfyUI that does not come up is given up, with what it wrote last."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from diffseg_tools.comfyui import ComfyServer
from diffseg_tools.environment import Installation
from diffseg_tools.prompt_run import ComfyStartError

PATIENCE = 2.0  # seconds
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


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A server whose program does this before it answers, with two seconds' patience."""
    monkeypatch.setattr("diffseg_tools.comfyui.has_accelerator", lambda python: True)

    def make(wait: str) -> ComfyServer:
        (tmp_path / "main.py").write_text(SERVER.format(wait=wait))
        installation = Installation(tmp_path, Path(sys.executable))
        return ComfyServer(installation, tmp_path / "base", pack=None, patience=PATIENCE)

    return make


def test_a_start_that_takes_too_long_is_given_up_with_its_last_lines(starts):
    with (
        pytest.raises(ComfyStartError, match=r"does not answer after 2 s\.\nImporting"),
        starts("time.sleep(60)"),
    ):
        pass


def test_a_start_that_fails_is_told_with_its_status_and_its_last_lines(starts):
    with (
        pytest.raises(ComfyStartError, match=r"(?s)ended with status 3 while starting\.\nImporting"),
        starts("sys.exit(3)"),
    ):
        pass
