"""`cageclock-station days rebuild | reread | verify`: the commands that look after the database."""

from __future__ import annotations

import argparse
import sqlite3
import time
from contextlib import closing

from edge.contract.service.exit_codes import MACHINE
from edge.contract.service.subcommands import Commands, add_command, add_group
from edge.errors import DatabaseDamaged, OperatorError, StorageError
from station.command_options import add_data
from station.printable import printable

SAY_EVERY_S = 5.0


def add_commands(commands: Commands) -> None:
    """Add them to the station's command line."""
    actions = add_group(commands, "days", "the table of days, from which curves are drawn")
    text = "make every day anew from the log, beside a running station too; the result is the same table"
    add_data(add_command(actions, "rebuild", rebuild_days, text))
    text = "after an upgrade: take in what waits in quarantine and can be read now; stop the station first"
    add_data(add_command(commands, "reread", reread, text))
    exits = {0: "all is well", 1: "something was wrong; the lines say what"} | MACHINE
    text = "look at every row and picture; with the station stopped, also repair what can be repaired"
    add_data(add_command(commands, "verify", verify, text, exits=exits))


def reread(options: argparse.Namespace) -> int:
    """Take in what waits in quarantine and can be read now; return 0."""
    from station.store.schema import has_log, open_for_reading
    from station.store.store import Store

    if not has_log(options.data):
        raise OperatorError(f"{options.data}: expected a station's folder, found no log")
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


def rebuild_days(options: argparse.Namespace) -> int:
    """Make every day anew from the log; return 0."""
    from station.days.keep import rebuild
    from station.store.schema import has_log, open_for_writing

    if not has_log(options.data):
        raise OperatorError(f"{options.data}: expected a station's folder, found no log")
    said_s = time.monotonic()

    def progress(done: int) -> None:
        nonlocal said_s
        if time.monotonic() - said_s >= SAY_EVERY_S:
            said_s = time.monotonic()
            print(f"{done} days made anew", flush=True)

    with closing(open_for_writing(options.data)) as connection:
        number = rebuild(connection, progress)
    print(f"{number} days of cages made anew from the log")
    return 0


def verify(options: argparse.Namespace) -> int:
    """Look at every row and picture, repair what can be repaired; return 0 where nothing was wrong, else 1.

    Raises:
        DatabaseDamaged: the file's pages themselves are damaged; no row is looked at then.
    """
    from station.store.schema import DATABASE, open_for_reading
    from station.store.store import Store

    with closing(open_for_reading(options.data)) as connection:
        on_sqlite = isinstance(connection, sqlite3.Connection)  # PostgreSQL's pages are its own tools' to check
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0] if on_sqlite else "ok"
    if said != "ok":
        path = options.data / DATABASE
        raise DatabaseDamaged(f"{path}: {said}; move it aside and start again: the devices send what they still hold")
    try:
        store = Store.open(options.data)
    except OperatorError as error:
        if "another cageclock-station run" not in str(error):
            raise
        return _look_only(options)
    except StorageError as error:
        if "another station logs" not in str(error):
            raise
        return _look_only(options)
    with closing(store):
        findings, complete = store.verify_part(time.time(), fresh=True)
        found = _print_all(findings)
        while not complete:
            findings, complete = store.verify_part(time.time())
            found += _print_all(findings)
    print(f"{found} things were wrong; what a device still holds of them it sends again" if found else "all is well")
    return 1 if found else 0


def _look_only(options: argparse.Namespace) -> int:
    """Look without repairing, beside a running station."""
    from station.store.schema import open_for_reading
    from station.store.upkeep import Upkeep

    with closing(open_for_reading(options.data)) as connection:
        upkeep, found, complete = Upkeep(connection, options.data, None), 0, False
        while not complete:
            findings, complete = upkeep.next_part(time.time())
            found += _print_all(list(map(str, findings)))
    print(
        f"{found} things are wrong; the running station's own pass puts them right, or stop it and verify again"
        if found
        else "all is well"
    )
    return 1 if found else 0


def _print_all(findings: list[str]) -> int:
    for finding in findings:
        print(printable(finding))
    return len(findings)
