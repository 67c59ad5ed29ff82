"""`cageclock-station retention run | log`: pictures and raw bodies that the settings' rules name."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.contract.service.subcommands import Commands, add_command, add_group
from edge.errors import OperatorError
from station.command_options import add_data
from station.printable import printable

if TYPE_CHECKING:
    import sqlite3

    from station.store.retention import Rule

_COLUMNS = "id, began_at, ended_at, who, what, kind, older_than_days, removed, bytes, first_s, last_s, devices"


def add_commands(commands: Commands) -> None:
    """Add them to the station's command line."""
    actions = add_group(
        commands, "retention", "pictures and raw bodies that are removed by rules, and what was removed"
    )
    text = "remove what the rules name; with the station stopped, which else does it by itself, a pass a day"
    run = add_command(actions, "run", run_pass, text)
    run.add_argument("--config", type=Path, required=True, help="station.yaml, with `data` and `retention`")
    run.add_argument("--dry-run", action="store_true", help="say what each rule would remove, beside a running station")
    about = "write the database anew, so that the disk gets back what removed bodies took; needs its size once more"
    run.add_argument("--compact", action="store_true", help=about)
    log = add_command(actions, "log", print_log, "the audit table: who removed what, when, by which rule")
    add_data(log)
    log.add_argument("--json", action="store_true", help="a JSON list instead of lines; times in Unix seconds")


def run_pass(options: argparse.Namespace) -> int:
    """Make one whole pass, or say what it would do; return 0."""
    from station.ingest.settings import load_settings
    from station.store.schema import open_for_reading
    from station.store.store import Store

    settings = load_settings(options.config, {})
    if not settings.retention:
        raise OperatorError(f"{options.config}: expected rules under `retention`, got none; nothing is removed")
    data = Path(settings.data)
    with closing(open_for_reading(data)) as connection:
        if options.dry_run:
            for rule in settings.retention:
                print(_would(connection, rule))
            print("a dry run, nothing was removed; what two rules name is counted by both")
            return 0
    total, complete = 0, False
    with closing(Store.open(data)) as store:
        while not complete:
            removed, complete = store.retain_part(settings.retention, f"user {getpass.getuser()}", time.time())
            total += removed
        sizes = store.compact() if options.compact else None
    print(f"{total} pictures and bodies removed; `cageclock-station retention log --data {data}` names them")
    if sizes is not None:
        print(f"the database took {sizes[0] / 2**20:.1f} MB and takes {sizes[1] / 2**20:.1f} MB")
    return 0


def _would(connection: sqlite3.Connection, rule: Rule) -> str:
    from station.store.retention import find_items

    now_s, count, size, times = time.time(), 0, 0, (1e18, -1e18)
    after: list[Any] | None = []
    while after is not None:
        items, after = find_items(connection, rule, after, now_s)
        count, size = count + len(items), size + sum(item.bytes for item in items)
        times = (min([times[0], *(i.received_at for i in items)]), max([times[1], *(i.received_at for i in items)]))
    if not count:
        return f"{rule}: none"
    return f"{rule}: {count}, {size / 2**20:.1f} MB, which came from {_time(times[0])} to {_time(times[1])}"


def print_log(options: argparse.Namespace) -> int:
    """Print the audit table; return 0."""
    from station.store.schema import open_for_reading

    with closing(open_for_reading(options.data)) as connection:
        there = connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'retention_log'").fetchone()
        rows = connection.execute(f"SELECT {_COLUMNS} FROM retention_log ORDER BY id").fetchall() if there else []
    lines = [dict(row) | {"devices": json.loads(row["devices"])} for row in rows]
    if options.json:
        json.dump(lines, sys.stdout, indent=2)
        print()
        return 0
    for line in lines:
        of = "" if line["kind"] == "all" else f" of {line['kind']} readings"
        size, devices = f"{line['bytes'] / 2**20:.1f} MB", ", ".join(f"{k} {v}" for k, v in line["devices"].items())
        when = f"{_time(line['began_at'])} to {_time(line['ended_at'])}"
        came = f"{_time(line['first_s'])} to {_time(line['last_s'])}"
        rule = f"{line['removed']} {line['what']}{of} older than {line['older_than_days']} days"
        print(printable(f"{line['id']}: {when}, {line['who']}: {rule}, {size}, which came from {came} ({devices})"))
    if not lines:
        print("nothing was removed yet")
    return 0


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%MZ}"
