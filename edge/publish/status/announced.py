"""Where the device has described itself to Home Assistant: what is retained there outlives the setting that made it."""

from __future__ import annotations

import os
from pathlib import Path

from edge.config.state_folder import publish_folder

FILE = "home-assistant.topics"


class Announced:
    """The topics, kept beside `delivery.db`, so that a switch that was turned off is found at the next start."""

    def __init__(self, state_dir: Path) -> None:
        """Read what is known; nothing where there is no file or it cannot be read."""
        self._path = publish_folder(state_dir) / FILE
        try:
            self.topics = set(self._path.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError):
            self.topics = set()

    def add(self, topic: str) -> None:
        """Remember a topic, before anything is sent there."""
        if topic not in self.topics:
            self.topics.add(topic)
            self._write()

    def remove(self, topic: str) -> None:
        """Forget a topic: the broker has taken the empty message."""
        if topic in self.topics:
            self.topics.remove(topic)
            self._write()

    def _write(self) -> None:
        """Replace the file; a full disk is no reason to stop, the next start only does not know."""
        temporary = self._path.with_name(f".{FILE}")
        try:
            temporary.write_text("".join(f"{topic}\n" for topic in sorted(self.topics)), encoding="utf-8")
            os.replace(temporary, self._path)
        except OSError:
            temporary.unlink(missing_ok=True)
