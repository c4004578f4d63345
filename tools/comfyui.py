"""A headless ComfyUI to run prompts on, from Python and without a browser.

with ComfyServer(installation, base_directory) as server:
    run = server.run(to_prompt(workflow, server.object_info()))
    print(run.executed, run.cached)
"""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import aiohttp

from .environment import Installation, link_directory
from .prompt_run import ComfyRunError, ComfyStartError, Conversation, Json, OnNode, Run, hold
from .steps import ROOT


class ComfyServer:
    """A ComfyUI in a process of its own, for the time of a ``with`` block.

    Args:
        installation: which ComfyUI, with which interpreter.
        base_directory: folder for its models, custom nodes, input, output, temp and user files; created.
        pack: the node pack to offer it as ``custom_nodes/DiffSeg``, by a link; None for no pack.
        port: where it listens on this machine; a free one by default.
        extra_arguments: more options for ComfyUI's ``main.py``.
        patience: seconds that its start may take: from a slow disk, minutes.
        echo: let it write to the console instead of to ``comfyui.log`` in the base directory.

    Raises:
        ComfyStartError: on entering the block, if it does not come up.
    """

    def __init__(
        self,
        installation: Installation,
        base_directory: Path,
        *,
        pack: Path | None = ROOT,
        port: int | None = None,
        extra_arguments: tuple[str, ...] = (),
        patience: float = 600,
        echo: bool = False,
    ) -> None:
        self.installation = installation
        self.base_directory = Path(base_directory).resolve()
        self.pack = pack
        self.port = port or _free_port()
        self.extra_arguments = extra_arguments
        self.patience = patience
        self.echo = echo
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the server, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        """What the server wrote to its console (not with ``echo``)."""
        return self.base_directory / "comfyui.log"

    def __enter__(self) -> ComfyServer:
        if not _is_free(self.port):
            raise ComfyStartError(
                f"Port {self.port} is in use; choose another one (for `make serve`: PORT=8189)."
            )
        for name in ("custom_nodes", "input", "output", "temp", "user", "models"):
            (self.base_directory / name).mkdir(parents=True, exist_ok=True)
        if self.pack is not None:
            link_directory(self.base_directory / "custom_nodes" / "DiffSeg", self.pack)
        if self.echo:
            self._process = self._start(None)
        else:
            with self.log_file.open("wb") as log:
                self._process = self._start(log)
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def object_info(self) -> Json:
        """Every node type the server knows, by name, with inputs and outputs."""
        answer: Json = self.get("/object_info")
        return answer

    def get(self, path: str) -> Any:
        """The parsed answer to a GET request, such as ``/system_stats``."""
        return json.loads(self._request(path))

    def post(self, path: str, body: Any) -> Any:
        """Send a JSON body, such as ``True`` to ``/settings/Comfy.TutorialCompleted``; the answer or None."""
        answer = self._request(path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.loads(answer) if answer else None

    def upload_image(self, path: Path, name: str | None = None) -> str:
        """Put an image into the server's input folder, replacing one of that name.

        Returns:
            The name to give to a LoadImage node.
        """
        name = name or path.name
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        tail = f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="overwrite"\r\n\r\ntrue'
        tail += f"\r\n--{boundary}--\r\n"
        answer = self._request(
            "/upload/image",
            data=head.encode() + path.read_bytes() + tail.encode(),
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        )
        uploaded: str = json.loads(answer)["name"]
        return uploaded

    def fetch_image(self, entry: Mapping[str, str]) -> bytes:
        """The file behind one entry of a run's outputs."""
        query = urllib.parse.urlencode({key: entry[key] for key in ("filename", "subfolder", "type")})
        return self._request(f"/view?{query}")

    def run(
        self,
        prompt: Json,
        *,
        timeout: float = 600,
        on_node: OnNode | None = None,
    ) -> Run:
        """Queue a prompt in API format and wait until it is done.

        Args:
            prompt: as from ``workflow.to_prompt``.
            timeout: seconds until it must be done.
            on_node: called with a node's id when the server begins with it.

        Raises:
            ComfyRunError: the prompt is refused, a node fails, or the time is up.
            ComfyStartError: the server went away.
        """
        conversation = Conversation(self.url, prompt, on_node)
        try:
            hold(conversation, timeout)
        except TimeoutError:
            self.post("/interrupt", {})
            raise ComfyRunError(f"Not done after {timeout:.0f} s; the run has been interrupted.") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise ComfyStartError(f"Lost the connection to ComfyUI: {error}\n{self.log_tail()}") from error
        history = self.get(f"/history/{conversation.prompt_id}")
        return Run(
            prompt_id=conversation.prompt_id,
            executed=tuple(conversation.executed),
            cached=tuple(conversation.cached),
            outputs=history[conversation.prompt_id]["outputs"],
        )

    def wait(self) -> None:
        """Return when the server's process ends by itself."""
        if self._process is not None:
            self._process.wait()

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of the server's log."""
        if self.echo or not self.log_file.is_file():
            return ""
        text = self.log_file.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _start(self, log: IO[bytes] | None) -> subprocess.Popen[bytes]:
        arguments = [str(self.installation.python), "main.py", "--disable-auto-launch"]
        arguments += ["--port", str(self.port), "--base-directory", str(self.base_directory)]
        # The database otherwise lies in ComfyUI's own folder, where a second server finds it locked.
        database = self.base_directory / "user" / "comfyui.db"
        arguments += ["--database-url", f"sqlite:///{database.as_posix()}"]
        if not has_accelerator(self.installation.python):
            arguments.append("--cpu")
        environ = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
        environ.pop("PYTHONPATH", None)  # nothing may come before ComfyUI's own modules, such as `nodes`
        environ.pop("PYTHONSAFEPATH", None)
        return subprocess.Popen(
            [*arguments, *self.extra_arguments],
            cwd=self.installation.directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT if log else None,
        )

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        start = time.monotonic()
        while not self._answers():
            code = self._process.poll()
            if code is not None:
                raise ComfyStartError(f"ComfyUI ended with status {code} while starting.\n{self.log_tail()}")
            if time.monotonic() - start > self.patience:
                raise ComfyStartError(
                    f"ComfyUI does not answer after {self.patience:.0f} s.\n{self.log_tail()}"
                )
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            self.get("/system_stats")
        except OSError:
            return False
        return True

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _request(
        self, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        request = urllib.request.Request(self.url + path, data, dict(headers or {}))
        # No proxy, whatever the environment says: the server is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            content: bytes = answer.read()
        return content


@functools.cache
def has_accelerator(python: Path) -> bool:
    """Whether the torch of that interpreter can use a GPU (CUDA, ROCm, MPS or XPU)."""
    code = (
        "import torch; found = torch.cuda.is_available() or torch.backends.mps.is_available();"
        "raise SystemExit(not (found or hasattr(torch, 'xpu') and torch.xpu.is_available()))"
    )
    # Somewhere neutral: with -c, the working directory is on sys.path.
    return subprocess.run([str(python), "-c", code], capture_output=True, cwd=python.parent).returncode == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
