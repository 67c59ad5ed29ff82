"""What happened to bundles becomes events: what the bundle unit did, and the verdicts of capture's own trial.

The bundle unit has no network and no outbox: its `bundles/history.json` is what it leaves behind, with a number for
each attempt. After each reading capture checks whether that file has changed, and notes in `trial.json` up to which
number it has appended events. Each attempt gets one event: what a kill left appended but not noted is found in the
outbox at the next start.
"""

from __future__ import annotations

from pathlib import Path

from edge.bundle.history import NAME, Entry, read_history
from edge.bundle.slots import FOLDER
from edge.bundle.trial import Trial
from edge.capture.event_writer import EventWriter
from edge.contract.base import Scalar
from edge.contract.record import Event, EventCode
from edge.errors import BundleError
from edge.outbox import Outbox

_CODES: dict[str, EventCode] = {
    "installed": "bundle_installed",
    "refused": "bundle_refused",
    "rolled back": "bundle_rolled_back",
    "waiting": "bundle_refused",
    "floor reset": "config_changed",
    "trust updated": "config_changed",
    "shadow": "config_changed",
    "shadow ended": "config_changed",
}


class BundleEvents:
    """Appends an event for each verdict and each installation, once."""

    def __init__(self, state_dir: Path, events: EventWriter, trial: Trial, outbox: Outbox) -> None:
        """Look up which events the last process appended, because it may have been killed before it noted them."""
        self._state_dir, self._events, self._trial = state_dir, events, trial
        self._path = state_dir / FOLDER / NAME
        self._seen: tuple[int, int, int] | None = None
        self._appended = {_identity(event) for event in outbox.newest() if isinstance(event, Event)}

    def append_new(self) -> None:
        """Append an event for each verdict and each installation that has none yet.

        Raises:
            StorageError: the outbox cannot keep it; it is appended at the next call.
        """
        for one in self._trial.state.condemned:
            if not one.reported:
                text = f"bundle {one.sha256[:12]} failed its trial and does not run again here: {one.reason}"
                self._append("bundle_rolled_back", text, sha256=one.sha256, reason=one.reason, by="trial")
                self._trial.mark_reported(condemned=one.sha256)
        try:
            found = self._path.stat()
        except OSError:
            return
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            self._append_history()
            self._seen = seen

    def _append_history(self) -> None:
        try:
            entries = read_history(self._state_dir).entries
        except BundleError as error:
            text = f"no bundle can be installed or refused: {error}"
            self._append("bundle_refused", text, number=-1, reason=str(error)[:500], file=NAME)
            return
        reported = self._trial.state.reported_installs
        newest = entries[-1].number if entries else 0
        if newest < reported:
            reported = 0  # the history was moved aside: it counts from 1 again
        for entry in entries:
            if entry.number > reported and entry.by != "trial" and entry.result in _CODES:
                self._append(_CODES[entry.result], _sentence(entry), **_detail(entry))
        if newest != self._trial.state.reported_installs:
            self._trial.mark_reported(installs=newest)

    def _append(self, code: EventCode, text: str, **detail: Scalar) -> None:
        if (code, detail.get("sha256"), detail.get("number")) not in self._appended:
            self._events.append(code, text, **detail)


def _identity(event: Event) -> tuple[str, Scalar, Scalar]:
    return event.code, event.detail.get("sha256"), event.detail.get("number")


def _sentence(entry: Entry) -> str:
    what = entry.file
    if entry.name is not None:
        what = f"bundle {entry.name} {entry.model_version}, release {entry.release} of {entry.channel}"
    if entry.result == "floor reset":
        return f"the lowest release of channel {entry.channel} was set to {entry.release} by hand: {entry.reason}"
    if entry.result == "trust updated":
        return entry.reason
    ended = {
        "rolled back": "runs again",
        "installed": "was installed",
        "refused": "was refused",
        "waiting": "waits in the inbox",
        "shadow": "runs beside the active one",
        "shadow ended": "runs beside the active one no longer",
    }[entry.result]
    return f"{what}, {ended}{': ' + entry.reason if entry.reason else ''}"


def _detail(entry: Entry) -> dict[str, Scalar]:
    """Return the particulars. sha256: of the bundle that the event is about; after a way back, of the one left."""
    detail: dict[str, Scalar] = {
        "sha256": entry.left or entry.sha256,
        "number": entry.number,
        "at": entry.at.isoformat(timespec="seconds"),
        "file": entry.file,
        "release": entry.release,
        "channel": entry.channel,
        "reason": entry.reason,
        "by": entry.by,
    }
    if entry.left is not None:
        detail["runs"] = entry.sha256
    return detail
