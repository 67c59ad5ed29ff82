"""`cageclock-station devices retire | acknowledge | reinstate`: what a person decides about devices."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import TYPE_CHECKING

from edge.contract.service.subcommands import Commands, add_command, add_group
from edge.errors import OperatorError
from station.command_options import add_data
from station.printable import printable

if TYPE_CHECKING:
    from station.status import DeviceStatus


def add_commands(commands: Commands) -> None:
    """Add them to the station's command line."""
    actions = add_group(commands, "devices", "what a person decides about devices: retired, problems acknowledged")
    texts = {
        "retire": "a device is out of service: `status` no longer counts it, unless it sends again",
        "acknowledge": "the present problems of a device are known: `status` counts them again when there are more",
        "reinstate": "forget that a device was retired, and what was acknowledged",
    }
    runs = {"retire": retire, "acknowledge": acknowledge, "reinstate": reinstate}
    for name, text in texts.items():
        action = add_command(actions, name, runs[name], text)
        action.add_argument("device", nargs="+", metavar="DEVICE", help="the device's name; several may be given")
        add_data(action)
        if name != "reinstate":
            action.add_argument("--reason", default="", help="why, for whoever reads it later")


def retire(options: argparse.Namespace) -> int:
    """Take devices out of service and say what remains to be done at the broker."""
    from station.registry import devices

    for status in _named(options):
        devices.retire(options.data, status.device, options.reason)
        name = printable(status.device)
        print(f"{name}: retired; `status` counts it no longer, unless it sends again")
        print(f"  in Home Assistant: mosquitto_pub -r -n -t homeassistant/device/cageclock_{name}/config")
    return 0


def acknowledge(options: argparse.Namespace) -> int:
    """Note that the present problems of devices are known."""
    from station.registry import devices

    for status in _named(options):
        devices.acknowledge(options.data, status.device, status.counts, options.reason)
        known = ", ".join(status.problems) or "nothing is wrong with it"
        print(printable(f"{status.device}: acknowledged: {known}"))
    return 0


def reinstate(options: argparse.Namespace) -> int:
    """Forget what was decided."""
    from station.registry import devices

    for status in _named(options):
        devices.reinstate(options.data, status.device)
        print(printable(f"{status.device}: in service, nothing acknowledged"))
    return 0


def _named(options: argparse.Namespace) -> list[DeviceStatus]:
    """Return the devices that were named.

    Raises:
        OperatorError: one of them is not known.
    """
    from station.status import load_status
    from station.store.schema import open_for_reading

    with closing(open_for_reading(options.data)) as connection:
        known = {status.device: status for status in load_status(connection)}
    for name in options.device:
        if name not in known:
            raise OperatorError(f"devices: no device {name!r} is known; there are {', '.join(known) or 'none'}")
    return [known[name] for name in options.device]
