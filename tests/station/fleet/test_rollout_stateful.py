"""Whatever happens in whatever order: what a rollout promises of its devices holds after every step."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from station.fleet.rollout.advance import advance
from station.fleet.rollout.plan import Thresholds
from station.fleet.rollout.state import HELD, Status
from tests.station.fleet.simulated import Fake, begun, plan, wrong_ends

FATES = st.sampled_from(["good", "good", "good", "refused", "rolled_back", "worse"])


class Fleet(RuleBasedStateMachine):
    """Devices of random fates in and out of studies, and everything that people and chance do to them."""

    @initialize(
        fates=st.lists(st.tuples(FATES, st.sampled_from(["", "", "study1", "study2"])), min_size=1, max_size=12),
        limit=st.integers(1, 5),
        errors=st.sampled_from([0.0, 0.1, 0.5]),
    )
    def begin(self, fates, limit, errors) -> None:
        fakes = [Fake(f"d{number}", fate, unit) for number, (fate, unit) in enumerate(fates)]
        thresholds = Thresholds(soak_s=0.0, errors=errors, success=0.5)
        self.lab = begun(fakes, plan(limit=limit, thresholds=thresholds))

    def pick(self, number: int) -> Fake:
        return list(self.lab.fakes.values())[number % len(self.lab.fakes)]

    @rule(number=st.integers(0, 50))
    def switch_on_or_off(self, number) -> None:
        self.pick(number).online ^= True

    @rule(number=st.integers(0, 50))
    def pin_or_unpin(self, number) -> None:
        fake = self.pick(number)
        if not fake.unit:
            fake.excluded = "" if fake.excluded else "pinned by anna"

    @rule(fate=FATES, unit=st.sampled_from(["", "study1"]))
    def provision_another(self, fate, unit) -> None:
        if len(self.lab.fakes) < 20:
            name = f"d{len(self.lab.fakes)}"
            self.lab.fakes[name] = Fake(name, fate, unit)

    @rule(times=st.integers(1, 4))
    def look(self, times) -> None:
        for _ in range(times):
            self.lab.look()

    @rule()
    def pause_or_resume(self) -> None:
        other = {Status.RUNNING: Status.PAUSED, Status.PAUSED: Status.RUNNING}
        self.lab.rollout = replace(self.lab.rollout, status=other.get(self.lab.rollout.status, self.lab.rollout.status))

    @rule()
    def look_twice_at_the_same(self) -> None:
        """A process that was killed after its look and before it kept it looks again at the same."""
        devices = {name: fake.device() for name, fake in self.lab.fakes.items()}
        once = advance(self.lab.rollout, devices, self.lab.now_s)
        assert advance(self.lab.rollout, devices, self.lab.now_s) == once

    @invariant()
    def nobody_is_asked_twice_for_what_it_refused(self) -> None:
        for fake in self.lab.fakes.values():
            if fake.fate in ("refused", "rolled_back"):
                assert sum(mode == "install" for mode, _ in fake.asked) <= 1

    @invariant()
    def a_rollout_that_goes_back_asks_nobody_more(self) -> None:
        if self.lab.rollout.status in (Status.REVERTING, Status.REVERTED):
            assert not any(one.phase in HELD for one in self.lab.rollout.members.values())

    def teardown(self) -> None:
        if not hasattr(self, "lab"):
            return
        if self.lab.rollout.status is Status.PAUSED:
            self.lab.rollout = replace(self.lab.rollout, status=Status.RUNNING)
        for fake in self.lab.fakes.values():
            fake.online, fake.excluded = True, ""
        self.lab.settle(2000)
        assert wrong_ends(self.lab) == []


Fleet.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestFleet = Fleet.TestCase
