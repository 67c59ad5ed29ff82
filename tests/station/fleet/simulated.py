"""Devices that do what a rollout asks of them, each in its own way, for tests of the pure state machine."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from station.fleet.rollout.advance import advance, revert
from station.fleet.rollout.assign import assign
from station.fleet.rollout.plan import Plan, Ring, Thresholds
from station.fleet.rollout.state import Device, Figures, Member, Phase, Rollout, Stage, Status
from station.fleet.rollout.want import wanted

NEW, OLD = "b" * 64, "a" * 64
RINGS = (Ring(devices=1), Ring(share=0.05), Ring(share=0.25), Ring(share=1.0))


def plan(**changes) -> Plan:
    base = {"sha256": NEW, "channel": "study", "release": 2, "name": "new", "rings": RINGS, "limit": 1000}
    return Plan(**(base | {"thresholds": Thresholds(soak_s=0.0)} | changes))


@dataclass
class Fake:
    """A device. fate: good, refused, rolled_back, worse (good, then abstains), or slow (never does it)."""

    name: str
    fate: str = "good"
    unit: str = ""
    online: bool = True
    running: str | None = OLD
    good: bool = True
    shadow: str | None = None
    state: str = "none"
    about: str | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    excluded: str = ""
    since_s: float = 0.0
    said: Device | None = None
    _seen: Device | None = None
    _made_of: tuple[object, ...] = ()

    def hear(self, mode: str, sha256: str) -> None:
        """Do what the retained message says, as the contract has it."""
        if not self.online:
            return
        if (mode, sha256) != (self.asked[-1] if self.asked else None):
            self.asked.append((mode, sha256))
        if mode == "revert":
            if self.running == sha256:
                self.running, self.good, self.state, self.about = OLD, True, "rolled_back", sha256
                self.refused.add(sha256)
            elif sha256 in (self.about, self.shadow) and self.state not in ("refused", "rolled_back"):
                self.state, self.about = "none", None
            self.shadow = None
        elif sha256 in self.refused or self.running == sha256:
            return
        elif mode == "shadow":
            self.shadow, self.state, self.about = sha256, "shadow", sha256
        elif self.fate == "slow":
            self.state, self.about = "fetching", sha256
        elif self.fate == "refused":
            self.state, self.about, self.shadow = "refused", sha256, None
            self.refused.add(sha256)
        else:
            self.state, self.about, self.shadow = "pending", sha256, None
            self.running, self.good = sha256, False

    def work(self) -> None:
        """Let the trial go on, connected or not."""
        if self.running == self.about and self.state == "pending":
            if self.fate == "rolled_back":
                self.refused.add(self.running)
                self.running, self.good, self.state = OLD, True, "rolled_back"
            else:
                self.good, self.state = True, "good"

    def device(self) -> Device:
        """Return what the station knows: the device's last words, while it is away."""
        state = (self.online, self.running, self.good, self.shadow, self.state, self.about, self.excluded, self.since_s)
        if state != self._made_of:  # most devices are as they were: 10,000 rollouts make each of them once
            if self.online or self.said is None:
                self.said = self._seen = self._now()
            else:
                self._seen = replace(self.said, online=False, excluded=self.excluded)
            self._made_of = state
        return self._seen

    def _now(self) -> Device:
        worse = self.fate == "worse" and self.running == NEW
        return Device(
            self.name,
            self.unit or self.name,
            excluded=self.excluded,
            online=self.online,
            online_since_s=self.since_s,
            reported=True,
            running=self.running,
            running_good=self.good,
            shadow=self.shadow,
            state=self.state,
            about=self.about,
            reason="its own words",
            before=Figures(100, 5, 0.4),
            after=Figures(100, 90, 0.4) if worse else Figures(),
        )


@dataclass
class Lab:
    """A rollout with its devices, and a clock."""

    rollout: Rollout
    fakes: dict[str, Fake]
    now_s: float = 1000.0
    asked: dict[str, int] = field(default_factory=dict)

    def look(self, comparison=None) -> None:
        """One look of the station, then every connected device acts on its retained message and works a bit."""
        devices = {name: fake.device() for name, fake in self.fakes.items()}
        self.rollout = advance(self.rollout, devices, self.now_s, comparison)
        for name, member in self.rollout.members.items():
            want = wanted(self.rollout, member)
            if want is not None and name in self.fakes:
                self.fakes[name].hear(want.mode, self.rollout.plan.sha256)
        for fake in self.fakes.values():
            fake.work()
        self.now_s += 60.0

    def settle(self, most: int = 200, comparison=None) -> None:
        """Look until nothing changes any more."""
        calm = 0
        for _ in range(most):
            before = (self.rollout, self._all())
            self.look(comparison)
            calm = calm + 1 if before == (self.rollout, self._all()) else 0
            if calm == 5:  # longer than any soak time here
                return
        raise AssertionError(f"it does not come to rest: {self.rollout.reason}")

    def _all(self) -> list[tuple[object, ...]]:
        return [(fake.running, fake.good, fake.state, fake.about, fake.shadow) for fake in self.fakes.values()]

    def member(self, name: str) -> Member:
        return self.rollout.members[name]

    def phases(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for one in self.rollout.members.values():
            found[one.phase.value] = found.get(one.phase.value, 0) + 1
        return found

    def abort(self) -> None:
        self.rollout = revert(self.rollout, "aborted by anna")


def begun(fakes: list[Fake], made: Plan | None = None) -> Lab:
    """Return a lab whose rollout has just been started."""
    made = made or plan()
    units: dict[str, list[str]] = {}
    for fake in fakes:
        units.setdefault(fake.unit or fake.name, []).append(fake.name)
    rings = assign(made.sha256, made.rings, units)
    members = {fake.name: Member(fake.name, fake.unit or fake.name, rings[fake.name]) for fake in fakes}
    stage = Stage.SHADOW if made.shadow else Stage.SWITCH
    rollout = Rollout(1, made, Status.RUNNING, stage, members=members, stage_since_s=1000.0)
    return Lab(rollout, {fake.name: fake for fake in fakes})


def wrong_ends(lab: Lab) -> list[str]:
    """Return in words which devices, all of them connected and at rest, do not end where the rollout says."""
    found = []
    for name, fake in lab.fakes.items():
        member = lab.rollout.members.get(name)
        has = fake.running == NEW
        if lab.rollout.status in (Status.REVERTING, Status.REVERTED) and has:
            found.append(f"{name} keeps what was reverted: {member}")
        if lab.rollout.status is Status.REVERTING:
            found.append(f"still reverting: {lab.rollout.reason}")
        if lab.rollout.status in (Status.RUNNING, Status.DONE) and has != (member.phase is Phase.GOOD):
            found.append(f"{name} runs {fake.running}, but is {member}")
        asked_in_vain = fake.fate == "good" and not fake.excluded and not has
        if lab.rollout.status is Status.DONE and asked_in_vain and not _held_by_unit(lab, member):
            found.append(f"{name} was left behind: {member}")
        installs = [one for one in fake.asked if one[0] == "install"]
        if len(installs) > 1 and fake.fate in ("refused", "rolled_back"):
            found.append(f"{name} was asked {len(installs)} times for what it refused")
    for unit in {fake.unit for fake in lab.fakes.values() if fake.unit}:
        runs = {fake.running for fake in lab.fakes.values() if fake.unit == unit and not fake.excluded}
        if len(runs) > 1:
            found.append(f"{unit} is split: {runs}")
    return found


def _held_by_unit(lab: Lab, member: Member) -> bool:
    return any(one.failed for one in lab.rollout.members.values() if one.unit == member.unit)


def random_lab(seed: int, devices: int) -> Lab:
    """Return a lab with fates, studies, exclusions and absences by chance."""
    chance = random.Random(seed)
    rotten = chance.choice([0.0, 0.0, 0.01, 0.05, 0.3])
    fakes = []
    for number in range(devices):
        bad = chance.random() < rotten
        fate = chance.choice(["refused", "rolled_back", "worse"]) if bad else "good"
        unit = f"study{chance.randrange(8)}" if chance.random() < 0.3 else ""
        fakes.append(Fake(f"d{number}", fate, unit, online=chance.random() < 0.8))
        if chance.random() < 0.05 and not unit:
            fakes[-1].excluded = "pinned"
    thresholds = Thresholds(soak_s=chance.choice([0.0, 120.0]), errors=chance.choice([0.0, 0.1]), success=0.7)
    return begun(fakes, plan(limit=chance.choice([1, 4, 1000]), thresholds=thresholds))


def play(lab: Lab, seed: int, steps: int) -> None:
    """Let chance turn devices off and on, add some, pause, resume and abort; then all are connected, and rest."""
    chance = random.Random(seed + 1)
    for _ in range(steps):
        event = chance.random()
        name = chance.choice(list(lab.fakes))
        if event < 0.4:
            lab.fakes[name].online = not lab.fakes[name].online
        elif event < 0.5:
            late = f"late{len(lab.fakes)}"
            lab.fakes[late] = Fake(late, online=chance.random() < 0.5)
        elif event < 0.53 and lab.rollout.status is Status.RUNNING:
            lab.rollout = replace(lab.rollout, status=Status.PAUSED)
        elif event < 0.532 and lab.rollout.status in (Status.RUNNING, Status.PAUSED):
            lab.abort()
        lab.look()
    if lab.rollout.status is Status.PAUSED:
        lab.rollout = replace(lab.rollout, status=Status.RUNNING)
    for fake in lab.fakes.values():
        fake.online = True
    lab.settle(5000)
