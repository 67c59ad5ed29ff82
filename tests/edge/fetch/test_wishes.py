"""The kinds of a wish: without an address, in the shadow, back again, taken back."""

from __future__ import annotations

import msgspec

from edge.bundle.history import read_history
from edge.bundle.shadow import read_order
from edge.bundle.slots import SHADOW
from edge.bundle.wish import keep_wish
from edge.contract.bundle.bundle import unverified_sha256
from tests.edge.fetch.lab import Lab
from tests.edge.fetch.server import Server, cut_after


def test_a_wish_without_address_takes_what_is_there_or_waits(lab: Lab) -> None:
    lab.wish("", urls=())
    assert lab.cycle().reason == "not_here"
    (lab.state / "inbox/lab.shadow-2h.bundle").write_bytes(lab.content)
    lab.unit()
    assert lab.cycle().state == "installing"
    lab.unit()
    assert lab.cycle().state == "done"
    assert lab.active()
    assert not lab.linked(SHADOW)


def test_a_shadow_run_and_its_promotion_fetch_once(lab: Lab, server: Server) -> None:
    lab.wish(server.url, mode="shadow", shadow_hours=36.0)
    lab.cycle()
    lab.unit()
    assert lab.cycle().state == "done"
    order = read_order(lab.state)
    assert order is not None
    assert (order.sha256, order.hours) == (lab.digest, 36.0)
    assert lab.linked(SHADOW)
    assert not lab.active()
    lab.wish(server.url)
    lab.cycle()
    lab.unit()
    assert lab.active()
    assert not lab.linked(SHADOW)
    assert len(server.heads) == 1


def test_a_revert_goes_back_once_and_takes_a_candidate_out_of_the_shadow(lab: Lab, server: Server) -> None:
    assert lab.device.install(lab.device.make(5, "five")) == 0
    lab.wish(server.url)
    lab.cycle()
    lab.unit()
    assert lab.active()
    assert lab.cycle().state == "done"
    plain = {"size": msgspec.UNSET, "sha256": msgspec.UNSET, "urls": ()}
    for rollout in ("back", "back-2"):
        lab.wish("", mode="revert", rollout=rollout, **plain)
        lab.cycle()
        lab.unit()
        assert lab.cycle().state == "done"
        assert lab.device.active() == 5
    assert [one.result for one in read_history(lab.state).entries].count("rolled back") == 1
    six = lab.device.make(8, "eight")
    (lab.state / "inbox/eight.shadow.bundle").write_bytes(six.read_bytes())
    lab.unit()
    assert lab.device.slots.target(SHADOW) is not None
    lab.wish("", mode="revert", rollout="out", digest=str(unverified_sha256(six)), **plain)
    lab.cycle()
    lab.unit()
    assert lab.cycle().state == "done"
    assert lab.device.slots.target(SHADOW) is None
    assert lab.device.active() == 5


def test_a_wish_that_was_taken_back_leaves_nothing(lab: Lab) -> None:
    with Server(lab.content, cut_after(1000)) as server:
        lab.wish(server.url)
        fetcher = lab.fetcher()
        lab.cycle(fetcher)
        assert lab.parts()
        keep_wish(lab.state, b"")
        assert lab.cycle(fetcher).state == "none"
        assert lab.parts() == []
