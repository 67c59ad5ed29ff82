"""`cageclock-station status`: every device at a glance."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from datetime import UTC, datetime

from edge.contract.service.exit_codes import MACHINE
from edge.contract.service.subcommands import Commands, add_command
from station.command_options import add_data
from station.printable import printable


def add_commands(commands: Commands) -> None:
    """Add it to the station's command line."""
    exits = {0: "all is well", 1: "something needs a person; the lines say what"} | MACHINE
    text = "every device: last reading, what is to come, lost, conflicting, quarantined"
    parser = add_command(commands, "status", _status, text, exits=exits)
    add_data(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")


def _status(options: argparse.Namespace) -> int:
    from station.days.load import count_due
    from station.ingest.running import read_running
    from station.registry.zones import load_zones
    from station.status import load_status
    from station.status_text import (
        describe_due,
        describe_pass,
        describe_station,
        draw_status,
        station_is_well,
        status_values,
    )
    from station.store.quota import describe_quotas
    from station.store.readable_rows import warn_of_hidden
    from station.store.schema import open_for_reading
    from station.store.upkeep import read_last_pass

    now = datetime.now(UTC)
    with closing(open_for_reading(options.data)) as connection:
        found, zones = load_status(connection, now), load_zones(connection)
        quotas, last_pass = describe_quotas(connection), read_last_pass(connection)
        due = count_due(connection)
        warn_of_hidden(connection)
    running = read_running(options.data)
    well = not quotas and station_is_well(running, now) and not any(status.needs_a_person for status in found)
    if options.json:
        print(json.dumps(status_values(found, running, quotas, last_pass, now, well=well, days_due=due), indent=2))
        return 0 if well else 1
    print(printable(draw_status(found, now), lines=True))
    print(printable(describe_station(running, now, zones.lab)))
    print(describe_pass(last_pass, now, zones.lab))
    if due:
        print(describe_due(due))
    for sentence in quotas:
        print(printable(sentence))
    return 0 if well else 1
