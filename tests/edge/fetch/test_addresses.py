"""Which hosts are asked: redirects, tricks of an address, and the next one where one fails."""

from __future__ import annotations

import msgspec
import pytest

from edge.bundle.wish import read_fetch_state
from edge.fetch.backoff import Backoff
from edge.fetch.fetcher import Fetcher
from tests.edge.fetch.lab import QUICK, Lab
from tests.edge.fetch.server import Server, raw, redirect


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
