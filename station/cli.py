"""The command line `cageclock-station`."""

from __future__ import annotations

import argparse
import json
import logging
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from edge.contract.service.arguments import with_file_names
from edge.errors import CageclockError, OperatorError
from edge.version import add_version
from station.printable import printable

_EXIT_CODES = """exit codes: 0 done; 1 `status` or `verify` found something; 2 a setting, a path or a
permission is wrong; 4 the disk or the database failed; 5 the network; 6 a file or payload cannot be read"""


class _Harmless(logging.Formatter):
    """Lines of the log in which no name that a device sent can steer the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return printable(super().format(record), lines=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an error is one line on stderr."""
    parser = _parser()
    options = parser.parse_args(with_file_names(parser, arguments))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Harmless("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells of its font cache
    try:
        code: int = options.command(options)
        return code
    except CageclockError as error:
        print(printable(f"cageclock-station: {error}", lines=True), file=sys.stderr)
        return error.exit_code
    except sqlite3.Error as error:
        text = (
            f"the database failed: {error}; check the disk, or move station.db aside: the devices send what they hold"
        )
        print(f"cageclock-station: {text}", file=sys.stderr)
        return 4
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `| head` has seen enough.
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cageclock-station",
        description="The lab's side of CageClock: logs every record once, draws ageing curves.",
        epilog=_EXIT_CODES,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_show(commands)
    _add_subjects(commands)
    _add_export(commands)
    _add_status(commands)
    _add_devices(commands)
    _add_upkeep(commands)
    _add_cards(commands)
    _add_serve(commands)
    add_version(parser)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("run", help="subscribe, store, promise `committed`", epilog=_EXIT_CODES)
    parser.add_argument("--config", type=Path, help="station.yaml; the flags below win over it")
    parser.add_argument("--name", help="the station's name, which the devices have as mqtt.station")
    parser.add_argument("--data", help="folder of database and thumbnails")
    parser.add_argument("--host", help="the broker (default localhost)")
    parser.add_argument("--port", type=int, help="the broker's port (default 1883)")
    parser.add_argument("--mqtt-version", choices=["5", "3.1.1"], help="version of MQTT (default 5)")
    parser.add_argument("--username", help="the broker's name for this station, with --password-file")
    parser.add_argument("--password-file", help="file with the password in its first line")
    parser.add_argument("--ca-file", dest="tls_ca_file", help="certificate authority of the broker (PEM)")
    parser.add_argument("--cert-file", dest="tls_cert_file", help="this station's certificate (PEM)")
    parser.add_argument("--key-file", dest="tls_key_file", help="this station's key (PEM)")
    parser.set_defaults(command=_run)


def _add_show(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("show", help="the curves as a table, and as a picture", epilog=_EXIT_CODES)
    parser.add_argument("--data", type=Path, required=True, help="the station's folder")
    parser.add_argument("--subject", action="append", default=[], help="only this animal or cage; may be repeated")
    parser.add_argument("--by", choices=["day", "week", "month"], default="week", help="default week")
    parser.add_argument(
        "--png", type=Path, help="draw the curves into this file too; further pages get numbered files beside it"
    )
    parser.add_argument("--include-rejected", action="store_true", help="estimates that were not accepted as well")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table; ages in days")
    parser.set_defaults(command=_show)


def _add_subjects(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("subjects", help="the lab's table of animals", epilog=_EXIT_CODES)
    actions = parser.add_subparsers(required=True, metavar="{import,list,zone}")
    text = "read animals from a CSV file: what it names is added or changed, nothing else is touched"
    take = actions.add_parser("import", help=text, description=text, epilog=_EXIT_CODES)
    take.add_argument(
        "file", type=Path, help="columns: subject, strain, sex, date_of_birth, date_of_arrival, cage, ..."
    )
    take.add_argument("--data", type=Path, required=True, help="the station's folder")
    take.add_argument("--dry-run", action="store_true", help="say what would be added and changed, write nothing")
    take.set_defaults(command=_import_subjects)
    known = actions.add_parser("list", help="print the table as CSV")
    known.add_argument("--data", type=Path, required=True, help="the station's folder")
    known.add_argument("--json", action="store_true", help="a JSON list instead of CSV")
    known.set_defaults(command=_list_subjects)
    text = "the time zone in which the dates of the table are days (UTC until it is set)"
    zone = actions.add_parser("zone", help=text, description=text, epilog=_EXIT_CODES)
    zone.add_argument(
        "zone", nargs="?", help="IANA name such as Europe/Zurich, or +01:00; without one, what is set is printed"
    )
    zone.add_argument("--data", type=Path, required=True, help="the station's folder")
    zone.add_argument("--device", help="only for the room of this device")
    zone.set_defaults(command=_zone)


def _add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("export", help="tidy CSV files with a data dictionary", epilog=_EXIT_CODES)
    parser.add_argument("--data", type=Path, required=True, help="the station's folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.set_defaults(command=_export)


def _add_status(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "every device: last reading, what is to come, lost, conflicting, quarantined"
    parser = commands.add_parser("status", help=text, description=text, epilog=_EXIT_CODES)
    parser.add_argument("--data", type=Path, required=True, help="the station's folder")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.set_defaults(command=_status)


def _add_devices(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "what a person decides about devices: retired, problems acknowledged"
    parser = commands.add_parser("devices", help=text, description=text, epilog=_EXIT_CODES)
    actions = parser.add_subparsers(required=True, metavar="{retire,acknowledge,reinstate}")
    texts = {
        "retire": "a device is out of service: `status` no longer counts it, unless it sends again",
        "acknowledge": "the present problems of a device are known: `status` counts them again when there are more",
        "reinstate": "forget that a device was retired, and what was acknowledged",
    }
    for name, about in texts.items():
        action = actions.add_parser(name, help=about, description=about, epilog=_EXIT_CODES)
        action.add_argument("device", nargs="+", metavar="DEVICE", help="the device's name; several may be given")
        action.add_argument("--data", type=Path, required=True, help="the station's folder")
        if name != "reinstate":
            action.add_argument("--reason", default="", help="why, for whoever reads it later")
        action.set_defaults(command=_devices, action=name)


def _add_upkeep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "the table of days, from which curves are drawn"
    days = commands.add_parser("days", help=about, description=about, epilog=_EXIT_CODES)
    actions = days.add_subparsers(required=True, metavar="{rebuild}")
    about = "make every day anew from the log, beside a running station too; the result is the same table"
    parser = actions.add_parser("rebuild", help=about, description=about, epilog=_EXIT_CODES)
    parser.add_argument("--data", type=Path, required=True, help="the station's folder")
    parser.set_defaults(command=_upkeep, action="rebuild_days")
    texts = {
        "reread": "after an upgrade: take in what waits in quarantine and can be read now; stop the station first",
        "verify": "look at every row and picture; with the station stopped, also repair what can be repaired",
    }
    for name, about in texts.items():
        parser = commands.add_parser(name, help=about, description=about, epilog=_EXIT_CODES)
        parser.add_argument("--data", type=Path, required=True, help="the station's folder")
        parser.set_defaults(command=_upkeep, action=name)


def _upkeep(options: argparse.Namespace) -> int:
    from station import upkeep_commands

    code: int = getattr(upkeep_commands, options.action)(options)
    return code


def _add_cards(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from station.provision import arguments as provision
    from station.scale import arguments as scale

    provision.add_commands(commands, _EXIT_CODES)
    scale.add_commands(commands, _EXIT_CODES)


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "the lab's page: the wall of cages, curves, data entry (needs the extra `page`)"
    parser = commands.add_parser("serve", help=text, description=text, epilog=_EXIT_CODES)
    parser.add_argument("--config", type=Path, help="page.yaml; the flags below win over it")
    parser.add_argument("--data", help="the station's folder")
    parser.add_argument("--host", help="where to listen (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port (default 8642)")
    parser.add_argument("--public-url", help="the address that people type: behind a proxy, or by a name")
    parser.add_argument(
        "--token",
        action="store_true",
        default=None,
        help="print an address that signs whoever opens it in as admin; only on this machine",
    )
    parser.set_defaults(command=_serve)


def _serve(options: argparse.Namespace) -> int:
    from station.page.settings import load_page_settings

    try:
        from station.page.serve import serve
    except ModuleNotFoundError as error:
        raise OperatorError(f"serve: {error.name} is not installed: pip install 'cageclock[page]'") from error
    flags = {key: value for key, value in vars(options).items() if key not in ("command", "config")}
    return serve(load_page_settings(options.config, flags))


def _run(options: argparse.Namespace) -> int:
    from station.ingest.process import run
    from station.ingest.settings import load_settings

    flags = {key: value for key, value in vars(options).items() if key not in ("command", "config")}
    return run(load_settings(options.config, flags))


def _show(options: argparse.Namespace) -> int:
    from station.curves.curve import fit_trend
    from station.curves.days import load_day_curves
    from station.curves.read import load_curves
    from station.curves.text_table import draw_table
    from station.curves.values import curve_values
    from station.registry.subjects import load_subjects
    from station.store.schema import open_for_reading

    with closing(open_for_reading(options.data)) as connection:
        if options.include_rejected:  # of those the days keep no estimates
            curves = load_curves(connection, options.by, include_rejected=True)
        else:
            curves = load_day_curves(connection, options.by)
        listed = {subject.subject: subject for subject in load_subjects(connection)}
        _say_what_is_hidden(connection)
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


def _settle_days(data: Path) -> None:
    """Make the days anew that a change of animals or zones touches; a running station goes on taking records."""
    from station.days.keep import settle_all
    from station.store.schema import open_for_writing

    with closing(open_for_writing(data)) as connection:
        settle_all(connection)


def _import_subjects(options: argparse.Namespace) -> int:
    from station.registry.merge import draw_import
    from station.registry.subjects import decisions, import_subjects
    from station.registry.unmatched import doubtful_names

    found = import_subjects(options.file, options.data, dry_run=options.dry_run)
    if not options.dry_run:
        _settle_days(options.data)
    for sentence in [*decisions(options.file), *doubtful_names(options.data, found.added)]:
        print(printable(f"warning: {sentence}"), file=sys.stderr)
    for sentence in found.refused:
        print(printable(f"cageclock-station: {sentence}"), file=sys.stderr)
    print(draw_import(found, dry_run=options.dry_run))
    return OperatorError.exit_code if found.refused else 0


def _zone(options: argparse.Namespace) -> int:
    from station.registry.zones import load_zones, set_zone
    from station.store.schema import open_for_reading

    if options.zone is not None:
        set_zone(options.data, options.zone, options.device)
        _settle_days(options.data)
    with closing(open_for_reading(options.data)) as connection:
        zones = load_zones(connection)
    print(f"{options.device or 'all devices not named below'}: {zones.of(options.device)}")
    if options.device is None:
        for device, zone in sorted(zones.devices.items()):
            print(printable(f"{device}: {zone}"))
    return 0


def _list_subjects(options: argparse.Namespace) -> int:
    from station.registry.subjects import load_subjects, write_subjects
    from station.store.schema import open_for_reading

    with closing(open_for_reading(options.data)) as connection:
        if options.json:
            print(json.dumps([asdict(subject) for subject in load_subjects(connection)], indent=2))
        else:
            write_subjects(connection, sys.stdout)
    return 0


def _export(options: argparse.Namespace) -> int:
    from station.export.write import export
    from station.store.schema import open_for_reading

    with closing(open_for_reading(options.data)) as connection:
        counts = export(connection, options.out)
        _say_what_is_hidden(connection)
    for name, count in counts.items():
        print(f"{count:>9} rows  {options.out / name}")
    return 0


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
    from station.store.schema import open_for_reading
    from station.store.upkeep import read_last_pass

    now = datetime.now(UTC)
    with closing(open_for_reading(options.data)) as connection:
        found, zones = load_status(connection, now), load_zones(connection)
        quotas, last_pass = describe_quotas(connection), read_last_pass(connection)
        due = count_due(connection)
        _say_what_is_hidden(connection)
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


def _devices(options: argparse.Namespace) -> int:
    from station import device_commands

    code: int = getattr(device_commands, options.action)(options)
    return code


def _say_what_is_hidden(connection: sqlite3.Connection) -> None:
    from station.store.readable_rows import count_hidden, describe_hidden

    said = describe_hidden(count_hidden(connection))
    if said:
        print(said, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
