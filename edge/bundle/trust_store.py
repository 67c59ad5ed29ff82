"""The trust statements that a device holds: those its settings name, and the newest that it learned, kept durably.

`bundle.trust` names the file that the device was provisioned with; `bundles/trust.json` holds the same chain and what
followed. Capture reads both to load what is installed; only the bundle unit writes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from edge.bundle.history import History
from edge.bundle.slots import FOLDER, write_durably
from edge.config.tree import Config
from edge.contract.bundle.bundle import Trusted
from edge.contract.bundle.keys import open_public, raw_public, read_trusted_keys
from edge.contract.bundle.roles import Key, Role
from edge.contract.bundle.statement import Statement
from edge.contract.bundle.trust import MAX_CHAIN_BYTES, Trust, begin
from edge.errors import BundleError, OperatorError
from edge.timing.clock import Clock

NAME = "trust.json"


def read_trust(config: Config) -> Trust | None:
    """Return the chain that this device goes by; None where the settings name keys alone.

    Raises:
        OperatorError: the file of the settings cannot be used, or contradicts what the device holds.
        BundleError: what the device holds is damaged. An older one could come back, so nothing is installed.
    """
    if config.bundle.trust is None:
        return None
    given, held = _given(config.bundle.trust), _held(config)
    if held is None:
        return given
    try:
        return held.extended(given.envelopes)
    except BundleError as error:
        if given.statements[0].version > held.newest.version:
            return given  # a person laid a newer one there, and what lies between is unknown
        raise OperatorError(
            f"bundle.trust: {config.bundle.trust} does not belong to what this device holds: {error}; to change over "
            f"to another lab's keys, move {_path(config)} aside"
        ) from error


def write_trust(config: Config, trust: Trust) -> None:
    """Keep the chain, so that a power cut leaves the old one or the new one.

    Raises:
        OSError: it cannot be written.
    """
    _path(config).parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    write_durably(_path(config), trust.content())


def trusted_to_run(config: Config) -> Trusted:
    """Return whose signatures vouch for a bundle that is installed already, or that the settings name.

    Where statements rule, `bundle.trusted_keys` counts for those only, so that a lab which changes over from a single
    key keeps its cameras measuring until a bundle of the channel is installed.

    Raises:
        OperatorError: a key file, or the file of trust statements, cannot be used.
    """
    named = config.bundle.trusted_keys
    if config.bundle.trust is None:
        return read_trusted_keys(None if named is None else [Path(name) for name in named])
    chains, trouble = _chains(config)
    if not chains:
        assert trouble is not None
        raise trouble
    keys = tuple(_key(Path(name)) for name in named or ())
    more = [Role(threshold=1, keys=(key,)) for key in keys]
    for chain in chains[1:]:
        more += chain.earlier_authority().roles
    return chains[0].earlier_authority(more)


def revoked_bundles(config: Config) -> frozenset[str]:
    """Return the digests that no device may run any more; unreadable statements add none."""
    if config.bundle.trust is None:
        return frozenset()
    return frozenset(sha256 for chain in _chains(config)[0] for sha256 in chain.newest.revoked_bundles)


def judge_time(history: History, statement: Statement, clock: Clock) -> tuple[datetime, str]:
    """Return the time by which expiry is judged, and a sentence where that is not the clock's.

    A clock that nobody has set since the start, or that shows less than was known before, does not count: the last time
    that could be trusted does. So an unset clock makes nothing expire, and says so.
    """
    last = max(filter(None, (history.trusted_at, statement.created_at)))
    now = clock.now()
    if clock.synced() and now >= last:
        return now, ""
    shown = now.isoformat(timespec="seconds")
    why = "is not set from the network" if not clock.synced() else "is behind that"
    return (
        last,
        f"expiry was judged by {last.isoformat(timespec='seconds')}, the last trusted time: the clock {why} ({shown})",
    )


def with_time(history: History, statement: Statement, clock: Clock) -> History:
    """Return the history with the time known by now. Never beyond the statement's end: a clock that once ran wild must
    not shut out the statements to come.
    """
    now, _ = judge_time(history, statement, clock)
    now = min(now, statement.expires_at)
    before = history.trusted_at
    return history if before is not None and now - before < timedelta(hours=1) else history.at_time(now)


def _chains(config: Config) -> tuple[list[Trust], OperatorError | None]:
    found, trouble = [], None
    try:
        if (held := _held(config)) is not None:
            found.append(held)
    except BundleError as error:
        trouble = OperatorError(str(error))
    try:
        assert config.bundle.trust is not None
        found.append(_given(config.bundle.trust))
    except OperatorError as error:
        trouble = error
    return found, trouble


def _given(name: str) -> Trust:
    try:
        with Path(name).open("rb") as file:
            return begin(file.read(MAX_CHAIN_BYTES + 1))
    except OSError as error:
        raise OperatorError(f"bundle.trust: {name}: cannot be read: {error.strerror}") from error
    except BundleError as error:
        raise OperatorError(f"bundle.trust: {name}: {error}") from error


def _held(config: Config) -> Trust | None:
    path = _path(config)
    try:
        with path.open("rb") as file:
            return begin(file.read(MAX_CHAIN_BYTES + 1))
    except FileNotFoundError:
        return None
    except (BundleError, OSError) as error:
        raise BundleError(f"{path}: cannot be read: {error}; move it aside to begin again from bundle.trust") from error


def _path(config: Config) -> Path:
    return Path(config.state_dir) / FOLDER / NAME


def _key(path: Path) -> Key:
    [pem] = read_trusted_keys([path])
    return Key(name=path.stem[:64], public=raw_public(open_public(pem)).hex())
