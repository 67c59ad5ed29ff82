"""`cageclock-station rollout create | approve | start | pause | resume | abort | show | list | device`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from edge.contract.service.argument_types import between, positive
from edge.contract.service.exit_codes import BUNDLE, MACHINE
from edge.contract.service.subcommands import Commands, add_command, add_group
from edge.errors import OperatorError
from station.command_options import add_data
from station.printable import printable

if TYPE_CHECKING:
    from station.fleet.observe import Known
    from station.fleet.rollout.plan import Plan

GROUPS = ("study", "room", "camera", "strain", "device")


def add_commands(commands: Commands) -> None:
    """Add them to the station's command line."""
    actions = add_group(commands, "rollout", "bring a model bundle to the devices, ring by ring, or take it back")
    _add_create(actions)
    about = {
        "approve": "say that a rollout may start: another person than the one who made it; with --study, as its lead",
        "start": "let a rollout begin",
        "pause": "ask no further devices; those that have the bundle are watched on",
        "resume": "go on after a pause",
        "abort": "take it back: every device that has the bundle leaves it",
    }
    for name, text in about.items():
        parser = add_command(actions, name, _ACTIONS[name], text)
        parser.add_argument("number", type=positive, metavar="N", help="the number of the rollout, as `list` prints it")
        if name == "approve":
            parser.add_argument("--study", help="approve for this locked study, whose lead you are")
        if name in ("pause", "abort"):
            parser.add_argument("--reason", default="", help="why, for whoever reads it later")
        add_data(parser)
    exits = {1: "it stopped, went back, or has failed devices"} | MACHINE
    parser = add_command(
        actions, "show", _show, "where a rollout stands: rings, devices, reasons, history", exits=exits
    )
    parser.add_argument("number", type=positive, metavar="N", help="the number of the rollout, as `list` prints it")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the text")
    add_data(parser)
    parser = add_command(actions, "list", _list, "every rollout, the newest last")
    parser.add_argument("--json", action="store_true", help="a JSON list instead of the text")
    add_data(parser)
    text = "what a device runs, and what the last rollouts that asked it came to"
    parser = add_command(actions, "device", _device, text, exits={1: "the last one failed on it"} | MACHINE)
    parser.add_argument("device", metavar="DEVICE", help="the device's name")
    text = "how many of the rollouts that asked it (default 5)"
    parser.add_argument("--last", type=positive, default=5, metavar="N", help=text)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the text")
    add_data(parser)


def _add_create(actions: Commands) -> None:
    text = "show what a bundle would change and which devices would get it when; without --dry-run, keep it as a draft"
    parser = add_command(actions, "create", _create, text, exits={1: "no device takes part"} | BUNDLE | MACHINE)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the signed bundle file")
    parser.add_argument("--channel", required=True, help="the channel it is signed for, such as study")
    parser.add_argument(
        "--rings", default="1,5%,25%,100%", help="numbers of devices, then shares of all (default 1,5%%,25%%,100%%)"
    )
    parser.add_argument("--shadow", metavar="TIME", help="first run beside the present model for so long, such as 24h")
    parser.add_argument(
        "--margin",
        type=between(0, 10_000),
        metavar="DAYS",
        help="with --shadow: the paired difference that counts as none, in days",
    )
    parser.add_argument(
        "--animals",
        type=positive,
        default=5,
        metavar="N",
        help="with --shadow: the number of animals it takes (default 5)",
    )
    parser.add_argument("--window", metavar="HOURS", help="hours of the day of the device's room, such as 09:00-17:00")
    parser.add_argument(
        "--limit",
        type=positive,
        default=4,
        metavar="N",
        help="how many devices may switch at the same time (default 4)",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="KIND=NAME",
        help=f"only {', '.join(GROUPS)} of this name; may be repeated",
    )
    parser.add_argument("--success", default="80%", help="share of a ring that must be good (default 80%%)")
    parser.add_argument(
        "--errors", default="10%", help="share of a ring that may fail before all go back (default 10%%)"
    )
    parser.add_argument(
        "--soak", default="1h", metavar="TIME", help="how long devices must have been good (default 1h)"
    )
    text = "compare with this bundle too, where the station keeps no file of what the devices run"
    parser.add_argument("--beside", type=Path, metavar="FILE", help=text)
    parser.add_argument("--dry-run", action="store_true", help="only show it, write nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the text")
    add_data(parser)


def _create(options: argparse.Namespace) -> int:
    from station.fleet import actions, texts
    from station.fleet.keep.database import fleet_database
    from station.fleet.keep.history import person

    now_s = time.time()
    known = _known(options.data)
    with fleet_database(options.data) as fleet:
        bundle, trust = actions.check_bundle(fleet, options.bundle, options.channel)
        plan = _plan(
            options,
            bundle.sha256,
            bundle.manifest.release,
            bundle.manifest.name,
            actions.approvals_of(trust, options.channel),
        )
        found = actions.dry_run(fleet, plan, known, now_s)
        running = actions.running_bundles(options.data, found.devices, options.beside)
        values = texts.dry_run_values(found, bundle, running)
        values["verified"] = trust is not None
        if not options.dry_run:
            made = actions.create(fleet, options.data, options.bundle, bundle, trust, plan, known, person(), now_s)
            values["rollout"] = made.number
    print(json.dumps(values) if options.json else printable(texts.dry_run_text(values), lines=True))
    return 0 if values["taking_part"] else 1


def _plan(options: argparse.Namespace, sha256: str, release: int, name: str, approvals: int) -> Plan:
    from station.fleet.rollout.plan import Plan, Shadow, Thresholds, read_duration, read_rings, read_share, read_window

    shadow = None
    if options.shadow is not None:
        if options.margin is None or not 2 <= options.animals <= 10_000:
            raise OperatorError(
                "--margin: with --shadow, expected the difference in days that counts as none, and --animals of 2 or "
                "more: set them before you look"
            )
        seconds = read_duration(options.shadow, "--shadow")
        if not 0 < seconds <= 60 * 86400:
            raise OperatorError(f"--shadow: expected at most 60d, got {options.shadow}")
        shadow = Shadow(seconds=seconds, margin_days=options.margin, animals=options.animals)
    if options.limit > 10_000:
        raise OperatorError(f"--limit: expected 1 to 10000 devices, got {options.limit}")
    for group in options.only:
        kind, equals, value = group.partition("=")
        if kind not in GROUPS or not equals or not value:
            raise OperatorError(f"--only: expected one of {', '.join(f'{one}=NAME' for one in GROUPS)}, got {group!r}")
    return Plan(
        sha256=sha256,
        channel=options.channel,
        release=release,
        name=name,
        rings=read_rings(options.rings),
        thresholds=Thresholds(
            success=read_share(options.success, "--success"),
            errors=read_share(options.errors, "--errors"),
            soak_s=read_duration(options.soak, "--soak"),
        ),
        shadow=shadow,
        window=None if options.window is None else read_window(options.window),
        limit=options.limit,
        approvals=approvals,
        only=tuple(options.only),
    )


def _known(data: Path) -> Known:
    from station.fleet.observe import Known, load_known
    from station.store.schema import has_log, open_for_reading

    if not has_log(data):
        return Known()
    with closing(open_for_reading(data)) as log:
        return load_known(log)


def _approve(options: argparse.Namespace) -> int:
    from station.fleet import actions
    from station.fleet.keep.database import fleet_database
    from station.fleet.keep.groups import approve_study
    from station.fleet.keep.history import person
    from station.transaction import transaction

    who = person()
    with fleet_database(options.data) as fleet:
        if options.study is not None:
            with transaction(fleet):
                approve_study(fleet, time.time(), who, options.number, options.study)
            print(printable(f"rollout {options.number}: {who} approved it for study {options.study}"))
            return 0
        actions.approve(fleet, options.number, who, time.time())
        print(
            printable(f"rollout {options.number}: approved by {', '.join(actions.approved_by(fleet, options.number))}")
        )
    return 0


def _act(name: str) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        from station.fleet import actions, texts
        from station.fleet.keep.database import fleet_database
        from station.fleet.keep.history import person

        reason = (options.reason,) if name in ("pause", "abort") else ()
        with fleet_database(options.data) as fleet:
            rollout = getattr(actions, name)(fleet, options.number, person(), time.time(), *reason)
            without = texts.no_fleet_process(fleet, time.time())
        print(printable(f"rollout {rollout.number}: {rollout.status} {rollout.reason}".rstrip()))
        print(f"`cageclock-station rollout show {rollout.number}` says how far it is\n{without}", end="")
        return 0

    return run


_ACTIONS = {"approve": _approve, **{name: _act(name) for name in ("start", "pause", "resume", "abort")}}


def _show(options: argparse.Namespace) -> int:
    from station.fleet import texts
    from station.fleet.keep.database import fleet_database

    with fleet_database(options.data) as fleet:
        values = texts.rollout_values(fleet, options.number)
    print(json.dumps(values) if options.json else printable(texts.rollout_text(values), lines=True))
    stopped = values["status"] in ("reverting", "reverted", "paused")
    return 1 if stopped or any(one["failed"] for one in values["devices"]) else 0


def _device(options: argparse.Namespace) -> int:
    from station.fleet import texts
    from station.fleet.keep.database import fleet_database

    with fleet_database(options.data) as fleet:
        values = texts.device_values(fleet, options.device, options.last)
    print(json.dumps(values) if options.json else printable(texts.device_text(values), lines=True))
    return 1 if values["installs"] and values["installs"][0]["failed"] else 0


def _list(options: argparse.Namespace) -> int:
    from station.fleet.keep.database import fleet_database
    from station.fleet.keep.rollouts import load_rollouts

    with fleet_database(options.data) as fleet:
        found = load_rollouts(fleet)
    if options.json:
        rows = [
            {"rollout": one.number, "name": one.plan.name, "release": one.plan.release, "status": one.status}
            for one in found
        ]
        print(json.dumps(rows))
        return 0
    for one in found:
        text = (
            f"{one.number}: {one.plan.name} release {one.plan.release} on {one.plan.channel}: {one.status} {one.reason}"
        )
        print(printable(text.rstrip()))
    if not found:
        print("none; `cageclock-station rollout create BUNDLE --channel study --data ...` makes the first")
    return 0
