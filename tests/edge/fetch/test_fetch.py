"""From a wish to an installed bundle, against servers that lie, stall, redirect and never end."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from edge.bundle.canary import Verdict
from edge.bundle.history import read_history
from edge.bundle.inbox import Inbox
from edge.bundle.install import Installer
from edge.bundle.shadow import read_order
from edge.bundle.slots import ACTIVE, SHADOW
from edge.bundle.wish import FetchState, keep_wish, read_fetch_state
from edge.config.load import load_config
from edge.config.tree import Config
from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle, unverified_sha256
from edge.contract.desired import Desired, LocalHours
from edge.fetch.backoff import Backoff
from edge.fetch.download import Limits, Paused
from edge.fetch.fetcher import MOST_WRONG, Fetcher
from edge.timing.clock import SteppedClock
from tests.edge.bundle.device import Device
from tests.edge.fetch.server import Script, Server, cut_after, honest, raw, redirect

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
QUICK = Limits(connect_s=2.0, stall_s=2.0, least_bytes=4096)
HEAD = b"HTTP/1.1 200 OK\r\n"


class UnsetClock(SteppedClock):
    def synced(self) -> bool:
        return False


class Lab:
    """A device, a bundle for it, and the fetcher that is asked to bring it."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.device = Device(folder, bundle)
        self.path = self.device.make(7)
        self.content = self.path.read_bytes()
        self.digest = str(unverified_sha256(self.path))
        self.state = self.device.state
        self.clock: SteppedClock = SteppedClock(NOON)
        self.hosts: tuple[str, ...] = ("127.0.0.1",)
        self.passes = True

    @property
    def config(self) -> Config:
        config = load_config(self.device.settings)
        bundle = msgspec.structs.replace(config.bundle, fetch_hosts=self.hosts)
        outbox = msgspec.structs.replace(config.outbox, min_free_mb=0)
        return msgspec.structs.replace(config, bundle=bundle, outbox=outbox)

    def wish(self, url: str, **changes: object) -> Desired:
        values: dict[str, object] = {
            "device_id": self.config.device_id,
            "rollout": "r1",
            "mode": "install",
            "digest": self.digest,
            "channel": "demo",
            "release": 7,
            "size": len(self.content),
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "urls": (url,),
        }
        wish = Desired(**{**values, **changes})  # type: ignore[arg-type]
        keep_wish(self.state, jsontext.encode(wish))
        return wish

    def fetcher(self, **more: object) -> Fetcher:
        return Fetcher(self.config, self.clock, limits=QUICK, backoff=Backoff(0.0, 0.0), **more)  # type: ignore[arg-type]

    def cycle(self, fetcher: Fetcher | None = None, times: int = 1) -> FetchState:
        fetcher = fetcher or self.fetcher()
        for _ in range(times):
            fetcher.cycle()
        return read_fetch_state(self.state)

    def unit(self) -> None:
        """The bundle unit's turn."""
        verdict = Verdict(problems=() if self.passes else ("budget: too slow",))
        Inbox(lambda: self.config, lambda config: Installer(config, lambda _path, _keys: verdict), limit_s=20).run()

    def inbox(self) -> list[str]:
        return sorted(path.name for path in (self.state / "inbox").iterdir())

    def active(self) -> bool:
        return self.linked(ACTIVE)

    def linked(self, link: str) -> bool:
        slot = self.device.slots.target(link)
        return slot is not None and unverified_sha256(slot) == self.digest

    def parts(self) -> list[Path]:
        return sorted((self.state / "fetch").glob("*.part"))


@pytest.fixture
def lab(tmp_path: Path, tiny_bundle: Bundle) -> Lab:
    return Lab(tmp_path, tiny_bundle)


@pytest.fixture
def server(lab: Lab) -> Iterator[Server]:
    with Server(lab.content) as made:
        yield made


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


LIES: dict[str, tuple[Script, str]] = {
    "a shorter length": (raw(HEAD + b"Content-Length: 10\r\n\r\n", b"0123456789"), "wrong_content"),
    "a longer length": (raw(HEAD + b"Content-Length: 999999999999\r\n\r\n", b"x" * 100), "wrong_content"),
    "a negative length": (raw(HEAD + b"Content-Length: -1\r\n\r\n", b"x" * 100), "wrong_content"),
    "no length and too little": (raw(HEAD + b"\r\n", b"x" * 100), "unreachable"),
    "an encoding": (raw(HEAD + b"Content-Encoding: gzip\r\n\r\n", b"x" * 100), "wrong_content"),
    "another range": (
        raw(b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n", b"12345"),
        "wrong_content",
    ),
    "an error": (raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "unreachable"),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "unreachable"),
    "nothing": (raw(b""), "unreachable"),
    "a header without end": (raw(HEAD + b"X: " + b"y" * 200_000), "unreachable"),
    "headers without end": (raw(HEAD + b"X: y\r\n" * 10_000 + b"\r\n"), "unreachable"),
    "a redirect to nowhere": (raw(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), "unreachable"),
    "a redirect to a file": (redirect("file:///etc/passwd"), "host_not_allowed"),
    "a redirect that is no address": (redirect("http://[::1/x"), "host_not_allowed"),
    "a redirect to another protocol": (redirect("ftp://127.0.0.1/x"), "host_not_allowed"),
}


@pytest.mark.parametrize("what", LIES)
def test_a_server_that_lies_gets_nothing_installed(what: str, lab: Lab) -> None:
    script, reason = LIES[what]
    with Server(lab.content, script) as server:
        lab.wish(server.url)
        state = lab.cycle()
        assert state.reason == reason, state.advice
        assert state.state == ("refused" if reason == "host_not_allowed" else "fetching")
    assert lab.inbox() == []


def test_endless_data_ends_at_the_size_of_the_wish(lab: Lab) -> None:
    sent = 0

    def endless(connection: socket.socket, _head: bytes, _content: bytes) -> None:
        nonlocal sent
        connection.sendall(HEAD + b"\r\n")
        while True:
            sent += connection.send(b"x" * 65536)

    with Server(lab.content, endless) as server:
        lab.wish(server.url)
        kept = [0]
        fetcher = lab.fetcher(alive=lambda: kept.append(max(path.stat().st_size for path in lab.parts())))
        assert lab.cycle(fetcher).reason == "wrong_content"
    assert max(kept) <= len(lab.content)
    assert sent < len(lab.content) + 20_000_000
    assert lab.parts() == []


@pytest.mark.parametrize("sends", [b"", HEAD, HEAD + b"Content-Length: 100000\r\n\r\nabc"])
def test_a_server_that_stalls_is_left(sends: bytes, lab: Lab) -> None:
    with Server(lab.content) as server:

        def stall(connection: socket.socket, _head: bytes, _content: bytes) -> None:
            connection.sendall(sends.replace(b"100000", str(len(lab.content)).encode()))
            server.released.wait(60)

        server.scripts = [stall]
        lab.wish(server.url)
        begin_s = time.monotonic()
        state = lab.cycle()
        assert state.reason in ("stalled", "unreachable")
        assert time.monotonic() - begin_s < 40
        server.released.set()


def test_a_server_that_sends_a_byte_now_and_then_is_left(lab: Lab) -> None:
    def drip(connection: socket.socket, _head: bytes, content: bytes) -> None:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(content))
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    with Server(lab.content, drip) as server:
        lab.wish(server.url)
        assert lab.cycle().reason == "stalled"


def test_headers_that_drip_are_cut(lab: Lab) -> None:
    def drip(connection: socket.socket, _head: bytes, _content: bytes) -> None:
        connection.sendall(HEAD)
        while True:
            connection.sendall(b"X: y\r\n"[:1])
            time.sleep(0.05)

    with Server(lab.content, drip) as server:
        lab.wish(server.url)
        begin_s = time.monotonic()
        assert lab.cycle().reason in ("stalled", "unreachable")
        assert time.monotonic() - begin_s < 40


def test_a_redirect_is_followed_within_the_allowed_hosts_only(lab: Lab, server: Server) -> None:
    with Server(b"", redirect(server.url)) as first:
        lab.hosts = (f"127.0.0.1:{first.port}",)
        lab.wish(first.url)
        state = lab.cycle()
        assert (state.state, state.reason) == ("refused", "host_not_allowed")
        assert f"127.0.0.1:{server.port}" in state.advice
        assert server.heads == []
        lab.hosts = ("127.0.0.1",)
        lab.wish(first.url, rollout="r2")
        assert lab.cycle().state == "installing"


def test_redirects_in_a_circle_end(lab: Lab) -> None:
    with Server(b"") as server:
        server.scripts = [redirect("/again")]
        lab.wish(server.url)
        assert "redirects more than" in lab.cycle().advice
        assert len(server.heads) == 6


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example/x",
        "http://127.0.0.1@evil.example/x",
        "http://evil.example:80@127.0.0.1/x",
        "http://127.0.0.1.evil.example/x",
        "http://127.0.0.1\\@evil.example/x",
        "http://127.0.0.1:99999/x",
        "http://[::1/x",
        "https:///x",
    ],
)
def test_no_trick_of_an_address_leads_elsewhere(url: str, lab: Lab) -> None:
    lab.wish(url)
    assert lab.cycle().reason == "host_not_allowed"


def test_without_a_list_only_the_brokers_host_is_asked(lab: Lab, server: Server) -> None:
    config = msgspec.structs.replace(lab.config, bundle=msgspec.structs.replace(lab.config.bundle, fetch_hosts=None))
    lab.wish(server.url)
    Fetcher(config, lab.clock, limits=QUICK, backoff=Backoff(0.0, 0.0)).cycle()
    assert read_fetch_state(lab.state).reason == "host_not_allowed"  # the broker of the settings is localhost
    assert server.heads == []


def test_the_next_address_is_asked_where_one_fails(lab: Lab, server: Server) -> None:
    with Server(b"", raw(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n")) as broken:
        lab.wish(server.url, urls=(broken.url, server.url))
        assert lab.cycle().state == "installing"


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


def test_a_wish_waits_for_its_hours_and_ends_with_its_time(lab: Lab, server: Server) -> None:
    hours = LocalHours(begin="22:00", end="06:00")
    fetcher = lab.fetcher()
    lab.wish(server.url, window=hours, expires_at=NOON + timedelta(days=1))
    assert lab.cycle(fetcher).reason == "window"
    lab.wish(server.url, not_before=NOON + timedelta(hours=1))
    assert lab.cycle(fetcher).reason == "not_before"
    assert server.heads == []
    lab.clock = SteppedClock(NOON + timedelta(hours=11))
    lab.wish(server.url, window=hours, expires_at=NOON + timedelta(days=1))
    assert lab.cycle().state == "installing"
    lab.clock = SteppedClock(NOON + timedelta(days=2))
    lab.wish(server.url, window=hours, expires_at=NOON + timedelta(days=1), rollout="late")
    assert lab.cycle().reason == "wish_expired"


def test_hours_and_times_wait_for_a_clock_that_was_set(lab: Lab, server: Server) -> None:
    """A device whose clock shows 1970 neither begins too early nor gives up."""
    lab.clock = UnsetClock(datetime(1970, 1, 1, tzinfo=UTC))
    for timed in ({"expires_at": NOON}, {"not_before": NOON}, {"window": LocalHours(begin="00:00", end="23:59")}):
        lab.wish(server.url, **timed)
        assert lab.cycle().reason == "clock_unset"
    assert server.heads == []
    lab.wish(server.url)
    assert lab.cycle().state == "installing"


def test_nothing_is_fetched_while_a_capture_is_due(lab: Lab, server: Server) -> None:
    schedule = msgspec.structs.replace(
        lab.config.schedule, interval_light_s=600.0, interval_dark_s=600.0, phase_offset_s=0.0
    )
    config = msgspec.structs.replace(lab.config, schedule=schedule)
    lab.wish(server.url)
    clock = SteppedClock(NOON)
    near_s = 600.0 * (int(clock.monotonic_s() / 600.0) + 1)
    clock.sleep_until(near_s - 1.0, lambda: False)
    fetcher = Fetcher(config, clock, limits=QUICK, backoff=Backoff(0.0, 0.0))
    fetcher.cycle()
    assert server.heads == []
    clock.sleep_until(near_s + 30.0, lambda: False)
    fetcher.cycle()
    assert read_fetch_state(lab.state).state == "installing"


def test_a_download_stops_for_a_capture_and_goes_on_after_it(lab: Lab, server: Server) -> None:
    calls = 0

    def alive() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Paused

    lab.wish(server.url)
    state = lab.cycle(lab.fetcher(alive=alive))
    assert (state.state, state.reason) == ("waiting", "captures_due")
    assert lab.parts()
    assert lab.cycle().state == "installing"
    assert len(server.heads) == 2 or len(lab.content) <= 65536


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


def test_a_full_card_keeps_the_wish_waiting(lab: Lab, server: Server) -> None:
    config = msgspec.structs.replace(
        lab.config, outbox=msgspec.structs.replace(lab.config.outbox, min_free_mb=1_000_000_000)
    )
    lab.wish(server.url)
    Fetcher(config, lab.clock, limits=QUICK, backoff=Backoff(0.0, 0.0)).cycle()
    state = read_fetch_state(lab.state)
    assert (state.state, state.reason) == ("waiting", "disk_full")
    assert server.heads == []


CALLS = ("open", "write", "fsync", "link", "replace", "unlink")


@pytest.mark.slow
def test_a_kill_at_any_point_of_fetch_and_hand_over_loses_nothing(lab: Lab) -> None:
    """A fork that dies before its nth call to the kernel; then a fresh process brings the wish to its end."""
    with Server(lab.content) as server:
        deaths = 0
        for at in range(1, 400):
            lab.wish(server.url, rollout=f"r{at}")
            child = os.fork()
            if child == 0:
                _die_at(at)
                lab.cycle(times=2)
                os._exit(0)
            died = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
            deaths += died
            fetcher = lab.fetcher()
            lab.cycle(fetcher, times=4)
            lab.unit()
            assert lab.cycle(fetcher, times=3).state == "done", (at, read_fetch_state(lab.state))
            assert lab.active()
            assert lab.inbox() == []
            if not died:
                break
            for link in (ACTIVE, "previous.bundle"):
                (lab.state / "bundles" / link).unlink(missing_ok=True)
            (lab.state / "bundles/history.json").unlink()
        assert deaths > 20, deaths


def _die_at(number: int) -> None:
    """End this process before its nth call of those that change files."""
    count = 0

    def dying(real):  # type: ignore[no-untyped-def]
        def call(*arguments, **more):  # type: ignore[no-untyped-def]
            nonlocal count
            count += 1
            if count == number:
                os.kill(os.getpid(), 9)
            return real(*arguments, **more)

        return call

    for name in CALLS:
        setattr(os, name, dying(getattr(os, name)))
