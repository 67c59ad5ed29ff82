"""`cageclock-station devices`: what a person decides about devices."""

from __future__ import annotations

import argparse
from contextlib import closing

from edge.errors import OperatorError
from station.printable import printable
from station.registry import devices
from station.status import DeviceStatus, load_status
from station.store.schema import open_for_reading


def retire(options: argparse.Namespace) -> int:
    """Take devices out of service and say what remains to be done at the broker."""
    for status in _named(options):
        devices.retire(options.data, status.device, options.reason)
        name = printable(status.device)
        print(f"{name}: retired; `status` counts it no longer, unless it sends again")
        print(f"  in Home Assistant: mosquitto_pub -r -n -t homeassistant/device/cageclock_{name}/config")
    return 0


def acknowledge(options: argparse.Namespace) -> int:
    """Note that the present problems of devices are known."""
    for status in _named(options):
        devices.acknowledge(options.data, status.device, status.counts, options.reason)
        known = ", ".join(status.problems) or "nothing is wrong with it"
        print(printable(f"{status.device}: acknowledged: {known}"))
    return 0


def reinstate(options: argparse.Namespace) -> int:
    """Forget what was decided."""
    for status in _named(options):
        devices.reinstate(options.data, status.device)
        print(printable(f"{status.device}: in service, nothing acknowledged"))
    return 0


def _named(options: argparse.Namespace) -> list[DeviceStatus]:
    """Return the devices that were named.

    Raises:
        OperatorError: one of them is not known.
    """
    with closing(open_for_reading(options.data)) as connection:
        known = {status.device: status for status in load_status(connection)}
    for name in options.device:
        if name not in known:
            raise OperatorError(f"devices: no device {name!r} is known; there are {', '.join(known) or 'none'}")
    return [known[name] for name in options.device]
