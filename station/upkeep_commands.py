"""The commands that look after the database: what they do and print."""

from __future__ import annotations

import argparse
from contextlib import closing

from edge.errors import OperatorError
from station.printable import printable
from station.store.schema import DATABASE, open_for_reading
from station.store.store import Store


def reread(options: argparse.Namespace) -> int:
    """Take in what waits in quarantine and can be read now; return 0."""
    if not (options.data / DATABASE).is_file():
        raise OperatorError(f"{options.data}: expected a station's folder, found no {DATABASE}")
    with closing(Store.open(options.data)) as store:
        taken = store.reread()
    for alarm in taken.alarms:
        print(printable(alarm))
    with closing(open_for_reading(options.data)) as connection:
        rows = connection.execute(
            "SELECT device, count(*) AS number, min(reason) AS reason FROM quarantine GROUP BY device ORDER BY device"
        ).fetchall()
    print(f"{taken.stored + taken.known} records taken in, {taken.conflicts} of them in conflict with a stored one")
    for row in rows:
        print(printable(f"{row['device']}: {row['number']} messages stay in quarantine, such as: {row['reason']}"))
    return 0
