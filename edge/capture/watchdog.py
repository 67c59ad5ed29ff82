"""systemd's watchdog, fed by progress only: a durable row for a due slot, or a planned idle tick. Never by a timer."""

from __future__ import annotations

import time

from edge.contract.service.systemd_notify import notify

IDLE_TICK_S = 5.0


class Watchdog:
    """Sends READY once, WATCHDOG with progress, STOPPING at the end. Without systemd it sends nothing."""

    def __init__(self) -> None:
        """Not ready yet."""
        self._ready = False
        self._ticked_at_s = 0.0

    def ready(self) -> None:
        """Notify systemd, once, that the first slot is durable, whatever its outcome."""
        if not self._ready:
            self._ready = True
            notify("READY=1")

    def progress(self, text: str) -> None:
        """Notify the watchdog after a durable row."""
        self._ticked_at_s = time.monotonic()
        notify(f"WATCHDOG=1\nSTATUS={text}")

    def idle(self) -> None:
        """Notify it, every few seconds once it is ready, while the loop waits for the next slot as planned."""
        now_s = time.monotonic()
        if self._ready and now_s - self._ticked_at_s >= IDLE_TICK_S:
            self._ticked_at_s = now_s
            notify("WATCHDOG=1")

    def stopping(self) -> None:
        """Notify systemd that the process ends on purpose."""
        notify("STOPPING=1")
