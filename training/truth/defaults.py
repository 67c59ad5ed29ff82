"""Where things lie unless an option names another place."""

from pathlib import Path

OPEN_FIELD = Path("../shared/data/openfield")
"""The real open-field recordings, beside a checkout; they are never part of the repository."""
