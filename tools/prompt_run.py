"""One prompt on a running ComfyUI: queued, listened to, and what it did."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

Json = dict[str, Any]
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


def hold(conversation: Conversation, timeout: float) -> None:
    """Hold the conversation in a thread of its own, beside a running event loop such as Playwright's.

    Raises:
        TimeoutError: it is not done after so many seconds.
        Everything that `Conversation.hold` raises.
    """
    try:
        _in_thread(lambda: asyncio.run(asyncio.wait_for(conversation.hold(), timeout)))
    except asyncio.TimeoutError as error:  # in Python 3.10 another class
        raise TimeoutError(str(error)) from None


class Conversation:
    """One prompt, from queueing it to the server's word that it is done."""

    def __init__(self, url: str, prompt: Json, on_node: OnNode | None) -> None:
        self.url = url
        self.prompt = prompt
        self.on_node = on_node
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
        elif kind == "execution_error":
            raise ComfyRunError(_failure(data), str(data["node_id"]))
        elif kind == "execution_interrupted":
            raise ComfyRunError(f"Interrupted in node {data.get('node_id')}.", data.get("node_id"))
        return False


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
    for node_id, node in (answer.get("node_errors") or {}).items():
        for fault in node["errors"]:
            lines.append(f"  node {node_id} ({node['class_type']}): {fault['message']}: {fault['details']}")
    return "\n".join(lines)


def _failure(data: Json) -> str:
    """The text of an error in a node, with its traceback."""
    trace = "".join(data.get("traceback") or [])
    head = f"Node {data['node_id']} ({data['node_type']}) failed: {data['exception_type']}"
    return f"{head}: {data['exception_message']}\n{trace}".rstrip()
