"""From a wish to an installed bundle: what is fetched, gone on with, begun again and given up."""

from __future__ import annotations

import socket

import msgspec

from edge.bundle.wish import read_fetch_state
from edge.fetch.backoff import Backoff
from edge.fetch.fetcher import MOST_WRONG, Fetcher
from tests.edge.fetch.lab import HEAD, QUICK, Lab
from tests.edge.fetch.server import Server, cut_after, honest, raw


def test_a_wished_bundle_is_fetched_and_installed(lab: Lab, server: Server) -> None:
    lab.wish(server.url)
    assert lab.cycle().state == "installing"
    lab.unit()
    assert lab.cycle().state == "done"
    assert lab.active()
    assert (lab.inbox(), lab.parts()) == ([], [])
    assert lab.cycle().state == "done"
    assert len(server.heads) == 1


def test_what_has_come_is_not_fetched_again(lab: Lab) -> None:
    third = len(lab.content) // 3
    with Server(lab.content, cut_after(third), cut_after(third), honest) as server:
        lab.wish(server.url)
        fetcher = lab.fetcher()
        state = lab.cycle(fetcher)
        assert (state.state, state.reason, state.bytes) == ("fetching", "unreachable", third)
        # A new process goes on where the last one ended.
        assert lab.cycle(times=2).state == "installing"
        assert b"Range: bytes=%d-" % (2 * third) in server.heads[2]
        assert b'If-Range: "one"' in server.heads[2]
    lab.unit()
    assert lab.active()


def test_a_server_without_ranges_serves_it_whole(lab: Lab) -> None:
    whole = raw(HEAD + b"Content-Length: %d\r\n\r\n" % len(lab.content), lab.content)
    with Server(lab.content, cut_after(1000), whole) as server:
        lab.wish(server.url)
        assert lab.cycle(lab.fetcher(), times=2).state == "installing"


def test_a_file_that_changes_midway_is_begun_again(lab: Lab) -> None:
    """With a mark (ETag) the server says so; without one the digest does."""
    changed = bytes(byte ^ 1 for byte in lab.content)

    def other(connection: socket.socket, head: bytes, _content: bytes) -> None:
        honest(connection, head, changed, etag='"two"')

    with Server(lab.content, cut_after(1000), other, honest) as server:
        lab.wish(server.url)
        fetcher = lab.fetcher()
        assert lab.cycle(fetcher, times=2).reason == "wrong_content"
        assert lab.parts() == []
        assert lab.cycle(fetcher).state == "installing"
    lab.unit()
    assert lab.active()


def test_a_wrong_file_is_given_up_after_some_tries_and_never_reaches_the_inbox(lab: Lab) -> None:
    wrong = bytes(len(lab.content))
    with Server(wrong) as server:
        lab.wish(server.url)
        state = lab.cycle(lab.fetcher(), times=MOST_WRONG + 3)
        assert (state.state, state.reason) == ("refused", "wrong_content")
        assert len(server.heads) == MOST_WRONG
    assert lab.inbox() == []
    with Server(lab.content) as server:
        lab.wish(server.url, rollout="r2")  # nobody has examined the digest: a corrected wish is carried out
        assert lab.cycle().state == "installing"


def test_a_file_that_is_another_bundle_is_refused(lab: Lab, server: Server) -> None:
    lab.wish(server.url, digest="ab" * 32)
    state = lab.cycle(times=2)
    assert (state.state, state.reason) == ("refused", "wrong_content")
    assert "correct the rollout" in state.advice
    assert lab.inbox() == []


def test_a_digest_that_was_refused_is_never_fetched_again(lab: Lab, server: Server) -> None:
    lab.passes = False
    lab.wish(server.url)
    lab.cycle()
    lab.unit()
    state = lab.cycle()
    assert (state.state, state.reason) == ("refused", "budget")
    for rollout in ("r2", "r3"):
        lab.wish(server.url, rollout=rollout)
        state = lab.cycle(times=3)
        assert (state.state, state.reason) == ("refused", "refused_before")
        assert "budget: too slow" in state.advice
    assert len(server.heads) == 1


def test_a_bundle_that_was_rolled_back_is_not_fetched_again(lab: Lab, server: Server) -> None:
    assert lab.device.install(lab.device.make(5, "five")) == 0
    assert lab.device.install(lab.path) == 0
    assert lab.device.run("rollback") == 0
    lab.wish(server.url)
    assert lab.cycle().reason == "refused_before"
    assert server.heads == []


def test_a_full_card_keeps_the_wish_waiting(lab: Lab, server: Server) -> None:
    config = msgspec.structs.replace(
        lab.config, outbox=msgspec.structs.replace(lab.config.outbox, min_free_mb=1_000_000_000)
    )
    lab.wish(server.url)
    Fetcher(config, lab.clock, limits=QUICK, backoff=Backoff(0.0, 0.0)).cycle()
    state = read_fetch_state(lab.state)
    assert (state.state, state.reason) == ("waiting", "disk_full")
    assert server.heads == []
