"""`cageclock bundle install | rollback | reset-floor | status`."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from edge.bundle.card import carry
from edge.bundle.history import Entry, History, read_history
from edge.bundle.inbox import Inbox
from edge.bundle.install import FileChanges, Installer
from edge.bundle.rules import check_revoked
from edge.bundle.selected import trusted_keys
from edge.bundle.shadow import read_order, read_shadow_state
from edge.bundle.slots import ACTIVE, FOLDER, PREVIOUS, SHADOW, Slots
from edge.bundle.trial import BAD_ENDS, Trials, read_trials
from edge.bundle.trust_store import judge_time, read_trust
from edge.config.load import load_config
from edge.config.tree import Config
from edge.contract.bundle.bundle import read_bundle
from edge.errors import BundleError, CageclockError, OperatorError
from edge.timing.clock import SystemClock


def install(options: argparse.Namespace) -> int:
    """Install one file, or everything in the inbox; a refused bundle ends with code 3.

    Raises:
        CageclockError: what keeps anything from being installed.
    """
    if (options.file is None) == (not options.inbox):
        raise OperatorError("bundle install: expected a FILE or --inbox, one of the two")
    trouble = None
    if options.inbox:
        inbox = Inbox(lambda: load_config(options.config))
        inbox.run()
        entries, trouble = inbox.entries, inbox.trouble
    else:
        config = load_config(options.config)
        source = _open(options.file)
        _become_owner(config)
        try:
            with Installer(config) as installer:
                entries = [installer.install(options.file.name, source)]
        except FileChanges as error:
            raise OperatorError(f"{options.file}: somebody is writing it; try again when it is complete") from error
        finally:
            os.close(source)
    for entry in entries:
        print(_sentence(entry), file=sys.stderr if entry.result == "refused" else sys.stdout)
    if trouble is not None:
        raise trouble
    return BundleError.exit_code if any(entry.result == "refused" for entry in entries) else 0


def carry_cards(options: argparse.Namespace) -> int:
    """Carry what lies on sticks and the boot partition; a refused bundle ends with code 3.

    Raises:
        CageclockError: what keeps anything from being carried.
    """
    folders = [folder for folder in options.folder if folder.is_dir()]
    if not folders:
        raise OperatorError(f"bundle card: none of {', '.join(map(str, options.folder))} is there; is the stick in?")
    config = load_config(options.config)
    refused = sum(carry(config, folder) for folder in folders)
    return BundleError.exit_code if refused else 0


def roll_back(options: argparse.Namespace) -> int:
    """Go back to the bundle before the active one."""
    config = load_config(options.config)
    _become_owner(config)
    with Installer(config) as installer:
        print(_sentence(installer.roll_back()))
    return 0


def reset_floor(options: argparse.Namespace) -> int:
    """Set the highest release of a channel on this device by hand."""
    config = load_config(options.config)
    _become_owner(config)
    with Installer(config) as installer:
        print(_sentence(installer.reset_floor(options.channel, options.release, options.reason)))
    return 0


def show(options: argparse.Namespace) -> int:
    """Print what is active, what was before, how their trials stand, and the last installations."""
    config = load_config(options.config)
    state_dir = Path(config.state_dir)
    slots, trials = Slots(state_dir), read_trials(state_dir)
    for name, link in (("active", ACTIVE), ("previous", PREVIOUS)):
        slot = slots.target(link)
        print(f"{name:9} {'none' if slot is None else f'{slot.name}  {_trial_state(config, trials, slot)}'}")
    for line in _shadow_lines(state_dir, slots):
        print(line)
    for one in trials.condemned:
        print(f"condemned {one.sha256[:16]}  bundle_rolled_back: {one.reason}")
    history = read_history(state_dir)
    for channel, release in sorted(history.floors.items()):
        kept = " (the device keeps to it)" if channel == (config.bundle.channel or history.channel) else ""
        print(f"channel   {channel}: the highest release was {release}{kept}")
    for line in _trust_lines(config, history):
        print(line)
    for entry in history.entries[-options.last :]:
        print(f"{entry.at.isoformat(timespec='seconds')}  {_sentence(entry)}")
    return 0


def _shadow_lines(state_dir: Path, slots: Slots) -> Iterator[str]:
    """Yield which candidate runs beside the active bundle, and how far it is."""
    order = read_order(state_dir)
    if order is None or slots.target(SHADOW) is None:
        return
    state = read_shadow_state(state_dir)
    ran_h, captures = (state.minutes / 60, state.captures) if state.sha256 == order.sha256 else (0.0, 0)
    end = " (complete)" if ran_h >= order.hours else ""
    model = f"{order.name} {order.model_version}, release {order.release} of {order.channel}"
    yield f"shadow    {model}: {ran_h:.1f} of {order.hours:g} hours, {captures} captures{end}"
    if state.sha256 == order.sha256 and state.fault:
        yield f"shadow    it is run no more: {state.fault}"


def _trust_lines(config: Config, history: History) -> Iterator[str]:
    """Yield what the device goes by where trust statements rule, and how it tells the time for their expiry."""
    trust = read_trust(config)
    if trust is None or config.bundle.channel is None:
        return
    newest, channel = trust.newest, config.bundle.channel
    at, note = judge_time(history, newest, SystemClock())
    state = "expired, nothing is installed" if at >= newest.expires_at else "in force"
    yield f"trust     statement {newest.version} of {newest.lab}, until {newest.expires_at.date()}: {state}"
    if note:
        yield f"trust     {note}"
    role = newest.channels.get(channel)
    if role is None:
        yield f"trust     it has no channel {channel!r}: nothing is installed"
    else:
        named = ", ".join(f"{key.name} ({key.id})" for key in role.without(newest.revoked_keys).keys)
        yield f"trust     channel {channel} takes {role.threshold} signatures of: {named or 'nobody'}"
    revoked = f"{len(newest.revoked_keys)} keys and {len(newest.revoked_bundles)} bundles"
    yield f"trust     revoked: {revoked}"
    slot = Slots(Path(config.state_dir)).target(ACTIVE)
    if slot is not None:
        try:
            check_revoked(newest, read_bundle(slot, trust.authority(channel)))
        except BundleError as error:
            yield f"trust     the active bundle would not be let in today: {error}"


def _open(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer would hang
    except OSError as error:
        raise OperatorError(f"{path}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        got = "a folder" if path.is_dir() else "a pipe or a device"
        raise OperatorError(f"{path}: expected a bundle file, got {got}; copy the bundle into an ordinary file")
    return handle


def _become_owner(config: Config) -> None:
    """Let root go on as the owner of the bundles folder: the unit can write its files, the canary has no rights."""
    folder = Path(config.state_dir) / FOLDER
    if os.geteuid() != 0 or not folder.is_dir():
        return
    state = folder.stat()
    if state.st_uid != 0:
        os.setgroups([])
        os.setgid(state.st_gid)
        os.setuid(state.st_uid)
        os.environ["HOME"] = "/"
        os.umask(0o027)


def _trial_state(config: Config, trials: Trials, slot: Path) -> str:
    """Return the state of a slot's trial, as text for people."""
    try:
        bundle = read_bundle(slot, trusted_keys(config))
    except CageclockError as error:
        return f"unusable: {error}"
    trials, sha256 = trials.adopting(bundle), bundle.sha256
    if trials.reason(sha256) is not None:
        return "CONDEMNED by its trial; capture runs the one before it"
    if sha256 in trials.good:
        return "GOOD"
    one, wanted = trials.of(sha256), config.bundle
    return (
        f"PENDING: {one.captures} of {wanted.trial_captures} captures, {one.minutes:.1f} of "
        f"{wanted.trial_minutes:g} minutes, {one.bad_ends} failures (condemned at {BAD_ENDS})"
    )


def _sentence(entry: Entry) -> str:
    if entry.result == "floor reset":
        return f"channel {entry.channel}: a bundle has to be above release {entry.release} now: {entry.reason}"
    if entry.result == "trust updated":
        return entry.reason
    what = entry.file
    if entry.name is not None:
        what += f" ({entry.name} {entry.model_version}, release {entry.release} of {entry.channel})"
    return f"{what}: {entry.result}{': ' + entry.reason if entry.reason else ''}"
