"""`cageclock-station fleet`, `send`, `trust`, `groups`: the process that reaches the devices, and what it is to do."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from edge.contract.service.argument_types import between, positive
from edge.contract.service.exit_codes import BUNDLE, MACHINE, NETWORK
from edge.contract.service.subcommands import Commands, add_command, add_group
from edge.errors import OperatorError
from station.command_options import add_data
from station.printable import printable


def add_commands(commands: Commands) -> None:
    """Add them to the station's command line."""
    _add_fleet(commands)
    _add_send(commands)
    _add_trust(commands)
    _add_groups(commands)
    _add_simulate(commands)


def _add_simulate(commands: Commands) -> None:
    exits = {0: "ended as it was asked to, by SIGTERM or Ctrl-C"} | MACHINE
    text = "run devices on this machine, with their real programs and simulated cages, to try rollouts with"
    parser = add_command(commands, "simulate-fleet", _simulate, text, exits=exits)
    text = "how many devices, sim001 and so on; each takes some 250 MB of memory (default 3)"
    parser.add_argument("--devices", type=positive, default=3, metavar="N", help=text)
    parser.add_argument("--folder", type=Path, default=Path("simulated-fleet"), help="where their folders are made")
    parser.add_argument("--host", default="localhost", help="the broker (default localhost)")
    parser.add_argument("--port", type=positive, default=1883, metavar="PORT", help="the broker's port (default 1883)")
    parser.add_argument("--station", default="lab1", help="the station's name (default lab1)")
    parser.add_argument("--trust", type=Path, help="the lab's trust.json; without it they take the demo's bundles")
    parser.add_argument("--channel", help="with --trust: the channel that they keep to")
    parser.add_argument("--group", action="append", default=[], help="a target group of theirs; may be repeated")
    text = "between two captures (default 60)"
    parser.add_argument("--interval", type=between(1, 86_400, low_too=True), default=60.0, metavar="SECONDS", help=text)


def _add_fleet(commands: Commands) -> None:
    exits = {0: "ended as it was asked to, by SIGTERM or Ctrl-C"} | MACHINE | NETWORK
    text = "publish which model each device should run, and send requests: under the broker's `operator` certificate"
    parser = add_command(commands, "fleet", _fleet, text, exits=exits)
    parser.add_argument("--config", type=Path, help="fleet.yaml; the flags below win over it")
    parser.add_argument("--data", help="the station's folder")
    parser.add_argument("--host", help="the broker (default localhost)")
    parser.add_argument("--port", type=int, metavar="PORT", help="the broker's port (default 1883)")
    parser.add_argument("--mqtt-version", choices=["5", "3.1.1"], help="version of MQTT (default 5)")
    parser.add_argument("--username", help="the broker's name for this process, with password_file in the settings")


def _add_send(commands: Commands) -> None:
    text = "request something of a device: it is sent once the device is connected, within an hour"
    parser = add_command(commands, "send", _send, text, exits={1: "`--wait`: refused, or no answer"} | MACHINE)
    parser.add_argument("device", metavar="DEVICE", help="the device's name")
    parser.add_argument("command", metavar="COMMAND", help="capture (take one reading now) or replay (send again)")
    parser.add_argument(
        "--with",
        dest="values",
        metavar="JSON",
        help='what the request says, such as \'{"since": "2026-03-01T00:00:00Z"}\'',
    )
    parser.add_argument(
        "--wait", type=between(0, 86_400), metavar="SECONDS", help="wait so many seconds for the answer"
    )
    add_data(parser)


def _add_trust(commands: Commands) -> None:
    actions = add_group(commands, "trust", "the lab's trust statements, as the devices get them")
    text = "give trust.json to every device, those that are off as soon as they come back"
    parser = add_command(actions, "publish", _publish_trust, text, exits=BUNDLE | MACHINE)
    parser.add_argument("file", type=Path, metavar="FILE", help="trust.json, as `cageclock-train keys` wrote it")
    add_data(parser)
    text = "which statement each device holds, who lacks the newest one, and how long until all hold it"
    parser = add_command(actions, "show", _show_trust, text, exits={1: "devices lack the newest one"} | MACHINE)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the text")
    add_data(parser)


def _add_groups(commands: Commands) -> None:
    actions = add_group(commands, "groups", "studies, rooms and pins: who takes part in rollouts, and with whom")
    parser = add_command(actions, "study", _study, "a study: its cages switch together, and its lead may lock it")
    parser.add_argument("name", metavar="NAME", help="the study's name")
    parser.add_argument("--device", action="append", default=[], help="put this device into it; may be repeated")
    parser.add_argument("--lead", metavar="ACCOUNT", help="the account of its lead (default: your own)")
    lock = parser.add_mutually_exclusive_group()
    lock.add_argument(
        "--lock", action="store_true", default=None, help="no rollout touches it unless its lead approves"
    )
    lock.add_argument("--unlock", dest="lock", action="store_false", help="rollouts may touch it")
    add_data(parser)
    parser = add_command(actions, "room", _room, "a room: devices that `rollout create --only room=NAME` picks")
    parser.add_argument("name", metavar="NAME", help="the room's name")
    parser.add_argument("--device", action="append", required=True, help="put this device into it; may be repeated")
    add_data(parser)
    parser = add_command(actions, "pin", _pin, "give a device one bundle, or none, whatever rollouts say")
    parser.add_argument("device", metavar="DEVICE", help="the device's name")
    parser.add_argument(
        "--to", metavar="SHA256", default="", help="the bundle's digest; without it: what the device runs"
    )
    parser.add_argument("--reason", default="", help="why, for whoever reads it later")
    add_data(parser)
    parser = add_command(actions, "unpin", _unpin, "let rollouts decide about a device again")
    parser.add_argument("device", metavar="DEVICE", help="the device's name")
    add_data(parser)


def _fleet(options: argparse.Namespace) -> int:
    from station.fleet.process import run
    from station.fleet.settings import load_fleet_settings

    flags = {key: value for key, value in vars(options).items() if key not in ("run", "config")}
    return run(load_fleet_settings(options.config, flags))


def _simulate(options: argparse.Namespace) -> int:
    from station.fleet.simulate import Simulated, simulate

    if (options.trust is None) != (options.channel is None):
        raise OperatorError(
            "simulate-fleet: expected --trust and --channel together: the statements, and whose bundles"
        )
    common = Simulated(
        options.folder.resolve(),
        options.host,
        options.port,
        options.station,
        None if options.trust is None else options.trust.resolve(),
        options.channel,
        tuple(options.group),
        options.interval,
    )
    return simulate(options.devices, common)


def _send(options: argparse.Namespace) -> int:
    from station.fleet.keep.commands import load_commands, queue_command
    from station.fleet.keep.database import fleet_database
    from station.fleet.keep.history import person
    from station.transaction import transaction

    values = _json_object(options.values)
    with fleet_database(options.data) as fleet:
        with transaction(fleet):
            made = queue_command(fleet, time.time(), person(), options.device, options.command, values)
        print(f"{options.command} of {options.device}: queued as {made}")
        end = time.monotonic() + (options.wait or 0.0)
        while options.wait is not None:
            (command,) = (one for one in load_commands(fleet, device=options.device) if one.id == made)
            if command.state not in ("queued", "sent", "accepted"):
                print(printable(f"{command.state}: {command.text}"))
                return 0 if command.state == "done" else 1
            if time.monotonic() >= end:
                print(f"no answer within {options.wait:g} s; it is {command.state}")
                return 1
            time.sleep(0.1)
    return 0


def _json_object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise OperatorError(f"--with: expected a JSON object, got {text!r}: {error}") from error
    if not isinstance(found, dict):
        raise OperatorError(f"--with: expected a JSON object, got {text!r}")
    return found


def _publish_trust(options: argparse.Namespace) -> int:
    from station.fleet.keep.database import fleet_database
    from station.fleet.keep.history import person
    from station.fleet.keep.trust import publish_trust
    from station.transaction import transaction

    try:
        content = options.file.read_bytes()
    except OSError as error:
        raise OperatorError(f"{options.file}: cannot be read: {error.strerror}") from error
    with fleet_database(options.data) as fleet, transaction(fleet):
        trust = publish_trust(fleet, time.time(), person(), content)
    newest = trust.newest
    print(printable(f"statement {newest.version} of {newest.lab} is published by the next cycle of the fleet process"))
    print("`cageclock-station trust show` says who holds it")
    _say_whether_fleet_works(options.data)
    return 0


def _say_whether_fleet_works(data: Path) -> None:
    from station.fleet.keep.database import fleet_database
    from station.fleet.texts import no_fleet_process

    with fleet_database(data) as fleet:
        print(no_fleet_process(fleet, time.time()), end="")


def _show_trust(options: argparse.Namespace) -> int:
    from station.fleet.keep.database import fleet_database
    from station.fleet.keep.devices import load_heard
    from station.fleet.keep.trust import load_delays, load_trust
    from station.fleet.texts import no_fleet_process, time_until_safe

    with fleet_database(options.data) as fleet:
        trust, heard = load_trust(fleet), load_heard(fleet)
        version = 0 if trust is None else trust.newest.version
        delays, without = load_delays(fleet, version), no_fleet_process(fleet, time.time())
    held: dict[str, int | None] = {}
    for name, one in heard.items():
        said = one.reported.trust if one.reported is not None else None
        held[name] = None if said is None else said.version
    behind = sorted(name for name, one in held.items() if version and (one or 0) < version)
    if options.json:
        print(json.dumps({"published": version, "held": held, "behind": behind, "held_after_s": delays}))
        return 1 if behind else 0
    if trust is None:
        print("nothing is published; `cageclock-station trust publish trust.json`")
        return 0
    newest = trust.newest
    print(printable(f"published: statement {version} of {newest.lab}, holds until {newest.expires_at:%Y-%m-%d}"))
    print(f"{len(held) - len(behind)} of {len(held)} devices hold it")
    for name in behind:
        state = "connected" if heard[name].online else "not connected"
        print(f"  {name}: holds {'none yet' if held[name] is None else held[name]}, {state}")
    print("\n".join(time_until_safe(delays, {name: heard[name].online for name in behind})))
    print(without, end="")
    return 1 if behind else 0


def _study(options: argparse.Namespace) -> int:
    from station.fleet.keep.database import fleet_database
    from station.fleet.keep.groups import Study, load_studies, set_group, set_study
    from station.fleet.keep.history import person
    from station.transaction import transaction

    who, now_s = person(), time.time()
    with fleet_database(options.data) as fleet, transaction(fleet):
        known = load_studies(fleet).get(options.name)
        lead = options.lead or (known.lead if known is not None else who)
        locked = options.lock if options.lock is not None else known is not None and known.locked
        study = Study(options.name, lead, locked)
        set_study(fleet, now_s, who, study)
        set_group(fleet, now_s, who, "study", options.name, options.device)
    print(printable(f"study {study.name}: lead {study.lead}, {'locked' if study.locked else 'open'}"))
    return 0


def _room(options: argparse.Namespace) -> int:
    from station.fleet.keep.database import fleet_database
    from station.fleet.keep.groups import set_group
    from station.fleet.keep.history import person
    from station.transaction import transaction

    with fleet_database(options.data) as fleet, transaction(fleet):
        set_group(fleet, time.time(), person(), "room", options.name, options.device)
    print(printable(f"room {options.name}: {', '.join(options.device)}"))
    return 0


def _pin(options: argparse.Namespace) -> int:
    from station.fleet.keep.database import fleet_database
    from station.fleet.keep.groups import Pin, pin
    from station.fleet.keep.history import person
    from station.transaction import transaction

    with fleet_database(options.data) as fleet, transaction(fleet):
        pin(fleet, time.time(), Pin(options.device, options.to, options.reason, person()))
    print(f"{options.device}: pinned to {options.to[:12] or 'what it runs'}")
    return 0


def _unpin(options: argparse.Namespace) -> int:
    from station.fleet.keep.database import fleet_database
    from station.fleet.keep.groups import unpin
    from station.fleet.keep.history import person
    from station.transaction import transaction

    with fleet_database(options.data) as fleet, transaction(fleet):
        unpin(fleet, time.time(), person(), options.device)
    print(f"{options.device}: rollouts decide again")
    return 0
