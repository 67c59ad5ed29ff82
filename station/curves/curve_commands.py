"""`cageclock-station show`: the curves as a table, and as a picture."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path

from edge.contract.service.subcommands import Commands, add_command
from edge.errors import OperatorError
from station.command_options import add_data
from station.printable import printable


def add_commands(commands: Commands) -> None:
    """Add it to the station's command line."""
    parser = add_command(commands, "show", _show, "the curves as a table, and as a picture")
    add_data(parser)
    parser.add_argument("--subject", action="append", default=[], help="only this animal or cage; may be repeated")
    text = "over how long readings are put together (default week)"
    parser.add_argument("--by", choices=["day", "week", "month"], default="week", help=text)
    parser.add_argument(
        "--png", type=Path, help="draw the curves into this file too; further pages get numbered files beside it"
    )
    parser.add_argument("--include-rejected", action="store_true", help="estimates that were not accepted as well")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table; ages in days")


def _show(options: argparse.Namespace) -> int:
    from station.curves.curve import fit_trend
    from station.curves.days import load_day_curves
    from station.curves.read import load_curves
    from station.curves.text_table import draw_table
    from station.curves.values import curve_values
    from station.registry.subjects import load_subjects
    from station.store.readable_rows import warn_of_hidden
    from station.store.schema import open_for_reading

    with closing(open_for_reading(options.data)) as connection:
        if options.include_rejected:  # of those the days keep no estimates
            curves = load_curves(connection, options.by, include_rejected=True)
        else:
            curves = load_day_curves(connection, options.by)
        listed = {subject.subject: subject for subject in load_subjects(connection)}
        warn_of_hidden(connection)
    notes = sys.stderr if options.json else sys.stdout
    # The trend is the whole lab's, whichever animals are shown.
    trend = fit_trend(curves)
    if options.subject:
        known = {curve.name for curve in curves}
        for name in options.subject:
            if name in listed and name not in known:
                place = listed[name].cage or listed[name].device
                where = f"of its cage {place}" if place else "names it, and the table gives it no cage"
                print(printable(f"{name}: in the lab's table; no reading yet {where}"), file=notes)
            elif name not in known:
                known |= set(listed)
                raise OperatorError(f"show: no readings of {name!r}; there are {', '.join(sorted(known)) or 'none'}")
        curves = [curve for curve in curves if curve.name in options.subject]
        if not curves and not options.json:
            return 0
    if not curves and not options.json:
        print("no readings yet")
        return 0
    if options.json:
        print(json.dumps(curve_values(curves, trend, options.by), indent=2))
    else:
        print(draw_table(curves, trend, options.by))
    if options.png is not None:
        from station.curves.figure import draw_png

        for path in draw_png(curves, options.by, options.png, include_rejected=options.include_rejected)[1:]:
            print(f"more curves: {path}", file=notes)
    return 0
