"""`make bench`: runs every section and prints one table; `python -m benchmarks NAME...` runs only some."""

from __future__ import annotations

import importlib
import sys

from benchmarks.table import machine, markdown

SECTIONS = {
    "stages": "One capture at 640x480, CPU time of one thread",
    "runtimes": "Networks: one invocation, CPU time of one thread",
    "processes": "Processes",
    "card": "The card: written at the block device for each reading",
    "station_ingest": "Station",
    "station_databases": "Station: both databases, the same readings in turns",
    "catching_up": "Station: devices that catch up while others send live",
    "station_queries": "Station: what a person waits for",
    "page_viewers": "Station: the log beside 50 viewers of the page",
    "jpeg_libraries": "Libraries for JPEG and resizing",
}


def main(names: list[str]) -> int:
    """Print the sections that are named, all by default."""
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        print(f"benchmarks: expected some of {', '.join(SECTIONS)}, got {', '.join(unknown)}", file=sys.stderr)
        return 2
    print(f"{machine()}\n")
    for name in names or SECTIONS:
        print(markdown(SECTIONS[name], importlib.import_module(f"benchmarks.{name}").rows()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
