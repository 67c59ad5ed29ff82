"""The devices as a rollout sees them: what they said, what people decided about them, what their readings say."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.contract import jsontext
from edge.contract.reported import Reported, State
from edge.errors import MessageError
from station.fleet.keep.devices import Heard, load_heard, load_refusals
from station.fleet.keep.groups import Pin, Study, load_groups, load_pins, load_studies, load_study_approvals
from station.fleet.rollout.plan import Plan
from station.fleet.rollout.state import Device, Figures
from station.registry.devices import load_decisions
from station.registry.zones import Zones, load_zones

MODEL_PROBLEMS = frozenset(
    {
        "capture_not_running", "capture_problem", "hot", "memory_low", "model_faults", "strain_not_covered",
        "light_not_covered",
    }
)  # fmt: skip
"""Problems of a device's health that a model can cause: the others say nothing about it."""
_CAGE = "SELECT cage FROM readings WHERE device = ? ORDER BY captured_s DESC LIMIT 1"
LASTING_S = 600.0
"""A problem that is over sooner, as during a restart, says nothing either."""


@dataclass(frozen=True, slots=True)
class Known:
    """What does not come from the devices. camera, strain, arm, retired: by device.

    arm: of the study, of each animal in the cage; for the order of rings alone, and shown to nobody.
    """

    zones: Zones = field(default_factory=Zones)
    retired: Mapping[str, str] = field(default_factory=dict)
    camera: Mapping[str, str] = field(default_factory=dict)
    strain: Mapping[str, frozenset[str]] = field(default_factory=dict)
    arm: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)


def load_known(log: sqlite3.Connection | None) -> Known:
    """Return what the station's log and table of animals know of the devices. log: None where there is none yet."""
    if log is None:
        return Known()
    retired = {device: one.reason for device, one in load_decisions(log).retired.items()}
    cages = {}
    for (device,) in log.execute("SELECT DISTINCT device FROM device_state").fetchall():
        row = log.execute(_CAGE, (device,)).fetchone()
        if row is not None:
            cages[device] = row[0]
    strain, arm = _of_animals(log, "strain", cages), _of_animals(log, "arm", cages)
    infos = log.execute("SELECT device, body FROM device_state WHERE what = 'info'").fetchall()
    camera = {device: name for device, body in infos if (name := _camera(body))}
    return Known(load_zones(log), retired, camera, strain, arm)


def _of_animals(log: sqlite3.Connection, column: str, cages: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return what the table of animals says of those that each device sees, in one column. cages: by device."""
    of_place: dict[str, set[str]] = {}
    rows = log.execute(f"SELECT cage, device, {column} FROM subjects WHERE date_of_death IS NULL")
    for cage, device, value in rows.fetchall():
        for place in {cage, device} - {None} if value is not None else ():
            of_place.setdefault(place, set()).add(value)
    return {
        device: frozenset(of_place.get(device, set()) | of_place.get(cage, set())) for device, cage in cages.items()
    }


def _camera(body: object) -> str:
    """Return the camera's model of an info message, "" where it says none, or where nobody can read it."""
    try:
        found = jsontext.parse(body if isinstance(body, bytes) else str(body).encode(errors="replace"))
    except MessageError:
        return ""
    camera = found.get("camera") if isinstance(found, dict) else None
    return str(camera.get("model", "")) if isinstance(camera, dict) else ""


def look(
    fleet: sqlite3.Connection,
    plan: Plan,
    number: int,
    known: Known,
    figures: Mapping[str, tuple[Figures, Figures]],
    now_s: float,
) -> dict[str, Device]:
    """Return every device of the plan's channel, and those of which nobody knows the channel yet."""
    refused = load_refusals(fleet, plan.sha256)
    pins, studies, approved = load_pins(fleet), load_studies(fleet), load_study_approvals(fleet, number)
    of_study, rooms = load_groups(fleet, "study"), load_groups(fleet, "room")
    found = {}
    for name, heard in load_heard(fleet).items():
        study = studies.get(of_study.get(name, ""))
        groups = _groups(name, study or of_study.get(name), rooms.get(name), heard, known)
        why = (
            _retired(known, name)
            or _other_channel(heard, plan)
            or _not_chosen(groups, plan)
            or _pinned(pins.get(name), plan)
            or _locked(study, approved)
            or _refused_before(refused.get(name))
        )
        unit = f"study {of_study[name]}" if name in of_study else name
        found[name] = _device(name, heard, unit, why, known, figures, now_s)
    return found


def _device(
    name: str,
    heard: Heard,
    unit: str,
    excluded: str,
    known: Known,
    figures: Mapping[str, tuple[Figures, Figures]],
    now_s: float,
) -> Device:
    reported = heard.reported
    before, after = figures.get(name, (Figures(), Figures()))
    running = reported.running if reported is not None else None
    shadow = getattr(reported, "shadow", None)
    problems = {
        code: text
        for code, (text, since_s) in heard.problems.items()
        if code in MODEL_PROBLEMS and now_s - since_s >= LASTING_S
    }
    return Device(
        name,
        unit,
        excluded=excluded,
        online=heard.online,
        online_since_s=heard.since_s if heard.online else None,
        reported=reported is not None,
        running=None if running is None else running.digest,
        running_good=running is not None and running.state == "good",
        shadow=getattr(shadow, "digest", None),
        state="none" if reported is None else _state(reported),
        about=None if reported is None else reported.digest,
        reason="" if reported is None else (reported.advice or reported.reason),
        before=before,
        after=after,
        problems=problems,
        zone=known.zones.of(name),
    )


def _state(reported: Reported) -> State:
    """Return what the newest attempt came to; a candidate that failed in the shadow is refused like any other."""
    return "refused" if reported.reason == "shadow_fault" else reported.state


def _groups(name: str, study: Study | str | None, room: str | None, heard: Heard, known: Known) -> set[str]:
    found = {f"device={name}"}
    if study is not None:
        found.add(f"study={study.name if isinstance(study, Study) else study}")
    if room is not None:
        found.add(f"room={room}")
    if name in known.camera:
        found.add(f"camera={known.camera[name]}")
    return found | {f"strain={strain}" for strain in known.strain.get(name, ())}


def _retired(known: Known, name: str) -> str:
    if name not in known.retired:
        return ""
    return f"retired: {known.retired[name]}".rstrip(": ")


def _other_channel(heard: Heard, plan: Plan) -> str:
    channel = None if heard.reported is None else heard.reported.channel
    if channel is None or channel == plan.channel:
        return ""
    return f"its settings bind it to channel {channel}"


def _not_chosen(groups: set[str], plan: Plan) -> str:
    if not plan.only or groups & set(plan.only):
        return ""
    return f"not among {', '.join(plan.only)}"


def _pinned(pin: Pin | None, plan: Plan) -> str:
    if pin is None or pin.sha256 == plan.sha256:
        return ""
    what = f"to bundle {pin.sha256[:12]}" if pin.sha256 else "to what it runs"
    return f"pinned {what} by {pin.who}: {pin.reason}".rstrip(": ")


def _locked(study: Study | None, approved: set[str]) -> str:
    if study is None or not study.locked or study.name in approved:
        return ""
    return f"study {study.name} is locked; its lead {study.lead} has not approved this rollout"


def _refused_before(reason: str | None) -> str:
    return "" if reason is None else f"it refused this bundle: {reason}".rstrip(": ")
