"""A headless ComfyUI to run prompts on, from Python and without a browser.

with ComfyServer(installation, base_directory) as server:
    run = server.run(to_prompt(workflow, server.object_info()))
    print(run.executed, run.cached)
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import aiohttp

from .environment import Installation, link_directory
from .steps import ROOT

Json = dict[str, Any]
OnProgress = Callable[[str, float, float], None]
OnNode = Callable[[str], None]


class ComfyError(RuntimeError):
    """ComfyUI did not do what was asked of it."""


class ComfyStartError(ComfyError):
    """The server did not come up, or went away. The message ends with the last lines of its log."""


class ComfyRunError(ComfyError):
    """The server refused a prompt or failed in a node. The message is the server's own.

    Attributes:
        node_id: the node that failed; None if the prompt as a whole was refused.
    """

    def __init__(self, message: str, node_id: str | None = None) -> None:
        super().__init__(message)
        self.node_id = node_id


@dataclass(frozen=True)
class Run:
    """What a prompt did.

    Attributes:
        prompt_id: the server's name for it.
        executed: ids of the nodes that ran, in the order in which they began.
        cached: ids of the nodes whose results the server still had.
        outputs: per output node its lists of results, as in the server's history:
            ``{"9": {"images": [{"filename": ..., "subfolder": ..., "type": "output"}]}}``.
    """

    prompt_id: str
    executed: tuple[str, ...]
    cached: tuple[str, ...]
    outputs: Json


class ComfyServer:
    """A ComfyUI in a process of its own, for the time of a ``with`` block.

    Args:
        installation: which ComfyUI, with which interpreter.
        base_directory: folder for its models, custom nodes, input, output, temp and user files; created.
        pack: the node pack to offer it as ``custom_nodes/DiffSeg``, by a link; None for no pack.
        port: where it listens on this machine; a free one by default.
        extra_arguments: more options for ComfyUI's ``main.py``.
        start_timeout: seconds until it must answer.
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
        start_timeout: float = 180,
        echo: bool = False,
    ) -> None:
        self.installation = installation
        self.base_directory = Path(base_directory).resolve()
        self.pack = pack
        self.port = port or _free_port()
        self.extra_arguments = extra_arguments
        self.start_timeout = start_timeout
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
        """Put a picture into the server's input folder, replacing one of that name.

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
        on_progress: OnProgress | None = None,
    ) -> Run:
        """Queue a prompt in API format and wait until it is done.

        Args:
            prompt: as from ``workflow.to_prompt``.
            timeout: seconds until it must be done.
            on_node: called with a node's id when the server begins with it.
            on_progress: called with a node's id, how far it is, and how far it has to go.

        Raises:
            ComfyRunError: the prompt is refused, a node fails, or the time is up.
            ComfyStartError: the server went away.
        """
        conversation = _Conversation(self.url, prompt, on_node, on_progress)
        try:
            # In a thread of its own, so that it works beside a running event loop (Playwright's, say).
            _in_thread(lambda: asyncio.run(asyncio.wait_for(conversation.hold(), timeout)))
        except (TimeoutError, asyncio.TimeoutError):
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
        deadline = time.monotonic() + self.start_timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                code = self._process.returncode
                raise ComfyStartError(f"ComfyUI ended with status {code} while starting.\n{self.log_tail()}")
            try:
                self.get("/system_stats")
                return
            except OSError:
                time.sleep(0.2)
        raise ComfyStartError(f"ComfyUI did not answer within {self.start_timeout:.0f} s.\n{self.log_tail()}")

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


class _Conversation:
    """One prompt, from queueing it to the server's word that it is done."""

    def __init__(
        self, url: str, prompt: Json, on_node: OnNode | None, on_progress: OnProgress | None
    ) -> None:
        self.url = url
        self.prompt = prompt
        self.on_node = on_node
        self.on_progress = on_progress
        self.client_id = uuid.uuid4().hex
        self.prompt_id = ""
        self.executed: list[str] = []
        self.cached: list[str] = []

    async def hold(self) -> None:
        """Queue the prompt and listen until it is done."""
        async with aiohttp.ClientSession() as session:
            address = f"{self.url}/ws?clientId={self.client_id}"
            async with session.ws_connect(address, max_msg_size=0) as socket_:
                await self._queue(session)
                async for message in socket_:
                    if message.type == aiohttp.WSMsgType.TEXT and self._hear(json.loads(message.data)):
                        return
        raise ConnectionError("the server closed the connection while the prompt was running")

    async def _queue(self, session: aiohttp.ClientSession) -> None:
        body = {"prompt": self.prompt, "client_id": self.client_id}
        async with session.post(f"{self.url}/prompt", json=body) as answer:
            content = await answer.json(content_type=None)
            # Where only some outputs are valid, the server runs those and answers 200.
            if answer.status != 200 or content.get("node_errors"):
                await session.post(f"{self.url}/queue", json={"clear": True})
                raise ComfyRunError(_refusal(content))
        self.prompt_id = content["prompt_id"]

    def _hear(self, message: Json) -> bool:
        """Take note of one message; True when the prompt is done."""
        kind, data = message["type"], message.get("data") or {}
        if data.get("prompt_id") != self.prompt_id:
            return False
        if kind == "execution_cached":
            self.cached.extend(data["nodes"])
        elif kind == "executing" and data["node"] is None:
            return True
        elif kind == "executing" and data["node"] not in self.executed:
            self.executed.append(data["node"])
            if self.on_node:
                self.on_node(data["node"])
        elif kind == "progress" and self.on_progress:
            self.on_progress(data["node"], data["value"], data["max"])
        elif kind == "execution_error":
            raise ComfyRunError(_failure(data), str(data["node_id"]))
        elif kind == "execution_interrupted":
            raise ComfyRunError(f"Interrupted in node {data.get('node_id')}.", data.get("node_id"))
        return False


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


def _in_thread(action: Callable[[], None]) -> None:
    """Run the action in a thread of its own and wait; what it raises is raised here."""
    errors: list[BaseException] = []

    def target() -> None:
        try:
            action()
        except BaseException as error:  # handed to the caller below
            errors.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def _refusal(answer: Json) -> str:
    """The text of a failed validation, with a line per node and fault."""
    error = answer.get("error") or {}
    head = error.get("message", error) if isinstance(error, dict) else error
    lines = [f"ComfyUI refused the prompt: {head or 'some outputs are invalid'}"]
    if isinstance(error, dict) and error.get("details"):
        lines.append(f"  {error['details']}")
    for node_id, found in (answer.get("node_errors") or {}).items():
        for fault in found["errors"]:
            lines.append(f"  node {node_id} ({found['class_type']}): {fault['message']}: {fault['details']}")
    return "\n".join(lines)


def _failure(data: Json) -> str:
    """The text of an error in a node, with its traceback."""
    trace = "".join(data.get("traceback") or [])
    head = f"Node {data['node_id']} ({data['node_type']}) failed: {data['exception_type']}"
    return f"{head}: {data['exception_message']}\n{trace}".rstrip()
