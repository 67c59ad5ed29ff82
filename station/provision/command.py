"""The commands `provision` and `wheels` of the station's command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.contract.topics import check_device
from edge.errors import CageclockError, MessageError, OperatorError
from station.printable import printable
from station.provision.authority import Authority, Credentials
from station.provision.fleet import Device, device_of, read_fleet
from station.provision.generation import find_generation
from station.provision.image import ImagePartition
from station.provision.lab import load_lab
from station.provision.labels import Label, draw_labels
from station.provision.partition import MountedPartition, Partition
from station.provision.plan import Lookup, Plan, make_plan
from station.provision.provision_commands import PLACE
from station.provision.wheels import build_wheels
from station.provision.write import Change, apply


def provision(options: argparse.Namespace) -> int:
    """Provision one card, or those of a whole table; one that fails costs itself."""
    lab = load_lab(options.lab)
    lookup = Lookup(lab, options.lab.parent, options.architecture)
    devices, refused = _devices(options, lab.station)
    if len(devices) > 1 and PLACE not in options.card:
        raise OperatorError(
            f"--card {options.card}: expected {PLACE} in it, for {len(devices)} devices of the table; or name "
            "one of them with --device"
        )
    authority = Authority(lookup.folder / lab.authority)
    labels, failed = [], 0
    for sentence in refused:
        print(printable(f"cageclock-station: {sentence}"), file=sys.stderr)
    for device in devices:
        try:
            labels.append(_provision(options, lookup, authority, device))
        except CageclockError as error:
            if len(devices) == 1:
                raise
            failed += 1
            print(printable(f"cageclock-station: {device.name}: {error}", lines=True), file=sys.stderr)
    if options.labels is not None and labels and not options.dry_run:
        pages = draw_labels(labels, options.labels)
        print(f"{options.labels}: {len(labels)} labels on {pages} page{'s' if pages > 1 else ''}; print at 100 %")
    if len(devices) > 1 or refused:
        print(f"{len(labels)} of {len(devices) + len(refused)} devices; {failed + len(refused)} passed over")
    return OperatorError.exit_code if failed or refused else 0


def _devices(options: argparse.Namespace, station: str) -> tuple[Sequence[Device], Sequence[str]]:
    if options.fleet is None:
        if options.device is None:
            raise OperatorError("provision: expected --device NAME, or --fleet TABLE, or both")
        try:
            return [Device(check_device(options.device, station))], ()
        except MessageError as error:
            raise OperatorError(f"--device: {error}") from error
    fleet = read_fleet(options.fleet, station)
    if options.device is not None:
        return [device_of(fleet, options.device, options.fleet)], ()
    if not fleet.devices and not fleet.refused:
        raise OperatorError(f"{options.fleet}: expected a row for each device, got none")
    return fleet.devices, fleet.refused


def open_card(place: str) -> Partition:
    """Return the boot partition at a place: a folder, or an image file.

    Raises:
        OperatorError: nothing is there, or something else.
    """
    path = Path(place)
    if path.is_dir():
        if not (path / "config.txt").exists():
            inside = next((one for one in sorted(path.iterdir()) if (one / "config.txt").is_file()), None)
            if inside is not None:
                raise OperatorError(f"--card {path}: expected the boot partition itself; did you mean {inside}?")
        return MountedPartition(path)
    if path.is_block_device():
        raise OperatorError(f"--card {path}: expected a mounted boot partition or an image file; mount it first")
    if path.is_file():
        return ImagePartition(path)
    raise OperatorError(f"--card {path}: there is no such folder or file; is the card in, and mounted?")


def _provision(options: argparse.Namespace, lookup: Lookup, authority: Authority, device: Device) -> Label:
    card = open_card(options.card.replace(PLACE, device.name))
    generation = find_generation(card)
    # The checks come before the key: a card that is refused leaves nothing behind.
    credentials = authority.credentials_of(device.name, keep=False, fresh=options.new_key)
    plan = make_plan(lookup, device, credentials, generation, card)
    if credentials.made and not options.dry_run:
        credentials = authority.credentials_of(device.name, fresh=options.new_key)
        plan = make_plan(lookup, device, credentials, generation, card)
    changes = apply(plan, card, dry_run=options.dry_run)
    _say(_Done(plan, changes, credentials, generation.name), card.name, options)
    ends = f"{credentials.ends_at:%Y-%m-%d}"
    return Label(device.name, device.cage, device.place, plan.instance, ends)


@dataclass(frozen=True, slots=True)
class _Done:
    plan: Plan
    changes: Sequence[Change]
    credentials: Credentials
    generation: str


def _say(done: _Done, card: str, options: argparse.Namespace) -> None:
    plan = done.plan
    print(printable(f"{plan.device.name}: {card}: {done.generation}"))
    counts: dict[str, int] = {}
    for change in done.changes:
        counts[change.what] = counts.get(change.what, 0) + 1
        if options.verbose or (change.what != "unchanged" and "/wheels/" not in change.path):
            print(printable(f"  {change.path}: {'would be ' if options.dry_run else ''}{change.what}"))
    key = "new" if done.credentials.made else "the one that was made before"
    serial, ends = done.credentials.serial, done.credentials.ends_at
    print(f"  certificate: {key}, valid until {ends:%Y-%m-%d}, serial {serial}")
    for note in plan.notes:
        print(printable(f"  note: {note}"))
    summary = ", ".join(f"{count} {what}" for what, count in counts.items())
    if options.dry_run:
        print(f"  dry run: {summary}; nothing was written")
    elif set(counts) == {"unchanged"}:
        print(f"  the card is as it should be already: {summary}")
    else:
        print(
            f"  {summary}; all read back. Take the card out safely, start the device; first-boot.txt says how it goes"
        )


def wheels(options: argparse.Namespace) -> int:
    """Build the folder of wheels for devices without an index."""
    source = options.source or str(_source_tree())
    pythons = tuple(options.python or ("3.11", "3.13"))
    for line in build_wheels(options.folder, pythons, options.architecture, source, numpy=options.numpy):
        print(line)
    return 0


def _source_tree() -> Path:
    tree = Path(__file__).parents[2]
    if not (tree / "pyproject.toml").is_file():
        raise OperatorError("wheels: expected --source with the program's wheel (cageclock-....whl) or source tree")
    return tree
