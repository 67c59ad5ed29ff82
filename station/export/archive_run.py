"""What `cageclock-station archive` does and prints; it needs the extra `archive`."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from station.export.archive import archive
from station.store.readable_rows import warn_of_hidden
from station.store.schema import open_for_reading


def archive_months(options: argparse.Namespace) -> int:
    """Write what has changed and say so; return 0."""
    with closing(open_for_reading(options.data)) as connection:
        done = archive(connection, options.out, anew=options.all, said=print)
        warn_of_hidden(connection)
    for name in done.removed:
        print(f"  removed       {options.out / name}: no reading is of that time any more")
    if done.wrong:
        print(f"left empty: {done.wrong} values that are none of their column's type", file=sys.stderr)
    print(f"{len(done.made)} files written, {done.left} had not changed")
    return 0
