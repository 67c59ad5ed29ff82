"""A child process that sends one message by Apprise, so that nothing that hangs or fails there touches the page.

It reads one JSON object from stdin, {"address", "title", "body"}, and prints one, {"ok", "service", "said"}. Without a
title it only looks whether Apprise knows the address. What it prints never holds the address's own words, which may be
a password or a key.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any
from urllib.parse import urlsplit

LEAST_LETTERS = 3
"""A shorter piece of an address is in too many words to be taken out of a sentence."""
KNOWN_WORDS = re.compile(
    "https?|jsons?|mail(tos?)?|ntfys?|smtps?|user|from|name|method|post|host|port|email|com|org|net|www|localhost|error"
    "|failed|send|notification|unable|connect|connection"
)


class _Heard(logging.Handler):
    """What Apprise says went wrong."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())


def main() -> int:
    """Send what stdin says and return 0; the answer is on stdout."""
    asked = json.load(sys.stdin)
    print(json.dumps(answer(asked["address"], asked.get("title", ""), asked.get("body", ""))))
    return 0


def answer(address: str, title: str, body: str) -> dict[str, Any]:
    """Return whether that went, by which service, and what was wrong."""
    try:
        from apprise import Apprise, AppriseAsset
    except ImportError:
        return {"ok": False, "service": "", "said": "apprise is not installed: pip install 'cageclock[alarms]'"}
    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [heard], False
    logger.setLevel(logging.WARNING)
    found = Apprise(asset=AppriseAsset(app_id="CageClock", app_desc="CageClock", async_mode=False))
    if not found.add(address) or not len(found):
        return {"ok": False, "service": "", "said": "expected an address as Apprise writes them, such as ntfy://TOPIC"}
    service = str(found[0].service_name or address.partition(":")[0])
    if not title:
        return {"ok": True, "service": service, "said": ""}
    sent = bool(found.notify(title=title, body=body, body_format="text"))
    said = "" if sent else hidden(" ".join(heard.lines) or "it was not taken, and no reason was given", address)
    return {"ok": sent, "service": service, "said": said[:300]}


def hidden(said: str, address: str) -> str:
    """Return a sentence without any word of an address; a common word stays, unless it is the password."""
    password = _words(_password(address))
    for word in sorted(_words(address), key=len, reverse=True):
        if word in password or not KNOWN_WORDS.fullmatch(word.casefold()):
            said = re.sub(re.escape(word), "…", said, flags=re.IGNORECASE)
    return said


def _words(text: str) -> set[str]:
    return {word for word in re.split(r"[^0-9A-Za-z]+", text) if len(word) >= LEAST_LETTERS}


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
