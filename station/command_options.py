"""What several commands of the station share: the option with which one is given the station's folder."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_data(command: argparse.ArgumentParser) -> None:
    """Add `--data`: the folder with station.db and the thumbnails."""
    command.add_argument("--data", type=Path, required=True, help="the station's folder")
