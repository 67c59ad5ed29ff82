"""A random factor, so that a fleet does not connect, resend and ask in step."""

from __future__ import annotations

import random


def jitter() -> float:
    """Return a factor from 0.5 to 1.5."""
    return random.uniform(0.5, 1.5)
