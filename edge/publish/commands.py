"""Requests from the broker: refused, queued, answered under the same id."""

from __future__ import annotations

from collections.abc import Callable

from edge.contract import jsontext
from edge.contract.base import Scalar
from edge.contract.command import CaptureRequest, ReplayRequest, Result
from edge.errors import MessageError
from edge.outbox.publish_file import PublishFile
from edge.outbox.row import Row
from edge.publish.delivery.sender import Sender

MAX_BYTES = 4096


class Commands:
    """Acts on commands; `answer` publishes a result."""

    def __init__(self, delivery: PublishFile, sender: Sender, answer: Callable[[Result], None]) -> None:
        """Requests left by an earlier process are still open."""
        self._delivery, self._sender, self._answer = delivery, sender, answer
        self._open = delivery.requests()

    def execute(self, name: str, payload: bytes, retained: bool) -> None:
        """Act on one message of `command/<name>`."""
        if retained:
            text = "expected a command that is not retained: it would be carried out again at every connection"
            self._refuse(name, payload, text)
        elif len(payload) > MAX_BYTES:
            self._refuse(name, b"", f"expected at most {MAX_BYTES} bytes, got {len(payload)}")
        elif name == "capture":
            self._capture(payload)
        elif name == "replay":
            self._replay(payload)
        else:
            self._refuse(name, payload, f"expected the command capture or replay, got {name[:40]!r}")

    def notice(self, row: Row | None) -> None:
        """Look whether the newest reading answers an open request."""
        if row is None or not self._open or b'"trigger":"command"' not in row.body:
            return
        request = jsontext.parse(row.body).get("request_id")
        if request in self._open:
            self._open.discard(request)
            self._delivery.remove_request(request)
            detail: dict[str, Scalar] = {"epoch": row.epoch, "seq": row.seq}
            text = "the reading is stored"
            self._answer(Result(id=request, command="capture", status="done", text=text, detail=detail))

    @property
    def waiting(self) -> bool:
        """Whether a request is open."""
        return bool(self._open)

    def finish(self) -> None:
        """Say of each replay that has come to its end how much of it the broker took, or the named station stored."""
        replay = self._sender.finished_replay()
        while replay is not None:
            text, detail = replay.report()
            self._answer(Result(id=replay.request, command="replay", status="done", text=text, detail=detail))
            replay = self._sender.finished_replay()

    def _capture(self, payload: bytes) -> None:
        try:
            request = jsontext.decode(payload, CaptureRequest)
        except MessageError as error:
            self._refuse("capture", payload, str(error))
            return
        self._delivery.add_request(request.id)
        self._open.add(request.id)
        self._answer(Result(id=request.id, command="capture", status="accepted", text="left for capture"))

    def _replay(self, payload: bytes) -> None:
        try:
            request = jsontext.decode(payload, ReplayRequest)
            count = self._sender.replay(request)
        except MessageError as error:
            self._refuse("replay", payload, str(error))
            return
        if count == 0:
            self._answer(
                Result(
                    id=request.id,
                    command="replay",
                    status="refused",
                    text="nothing of what was asked for is held",
                )
            )
            return
        self._answer(
            Result(id=request.id, command="replay", status="accepted", text="queued", detail={"records": count})
        )

    def _refuse(self, name: str, payload: bytes, text: str) -> None:
        self._answer(Result(id=_id_of(payload), command=name[:40], status="refused", text=text[:500]))


def _id_of(payload: bytes) -> str:
    try:
        found = jsontext.parse(payload[:MAX_BYTES])
    except MessageError:
        return ""
    return str(found.get("id", ""))[:64] if isinstance(found, dict) else ""
