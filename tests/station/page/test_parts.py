"""The parts of the page that need no server: columns, the wall's order, settings, limits, texts."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import OperatorError
from station.page.accounts import is_masked, mask
from station.page.notes import read_grams
from station.page.people import safe_next
from station.page.rate import Limit
from station.page.read import Newest
from station.page.series import pack, unpack
from station.page.settings import load_page_settings
from station.page.templates import FOLDER, advice
from station.page.texts import load_texts
from station.page.wall import count_needs, make_card, sort_by_need
from station.status import DeviceStatus

AT = datetime(2026, 11, 1, tzinfo=UTC)


def card(device: str, problems: dict[str, str], hours: int = 0, known: frozenset[str] = frozenset()):  # type: ignore[no-untyped-def]
    at = AT - timedelta(hours=hours)
    status = DeviceStatus(device, "online", at, "ok", 1, 1, 0, 0, 0, 0, problems, known)
    return make_card(Newest(device, device, at, "ok", None, None), status, (), (), UTC)


def test_who_needs_a_person_most_stands_first_and_the_rest_in_the_order_of_names() -> None:
    cards = [
        card("cage-10", {}),
        card("cage-2", {}),
        card("cage-3", {"lost": "x"}),
        card("cage-4", {"silent": "x"}, hours=9),
        card("cage-5", {"offline": "x"}, hours=90),
        card("cage-6", {"lost": "x"}, known=frozenset({"lost"})),
    ]
    assert [one.device for one in sort_by_need(cards)] == ["cage-5", "cage-4", "cage-3", "cage-6", "cage-2", "cage-10"]
    assert dict(count_needs(cards)) == {"urgent": 2, "wrong": 1, "known": 1, "well": 2, "checking": 0}


@given(st.lists(st.tuples(st.floats(width=64), st.floats(width=64)), max_size=50), st.text(max_size=40))
def test_columns_come_back_bit_for_bit(rows: list[tuple[float, float]], word: str) -> None:
    columns = {"at": [row[0] for row in rows], "age": [row[1] for row in rows]}
    content = pack(columns, {"word": word})
    head, found = unpack(content)
    assert (head["rows"], head["word"]) == (len(rows), word)
    assert (4 + int.from_bytes(content[:4], "little")) % 8 == 0  # a browser takes no other place for a column
    for name, values in columns.items():
        assert all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(values, found[name], strict=True))


def test_a_masked_secret_is_known_again_and_never_looks_the_same() -> None:
    secret = "0123456789abcdef" * 4
    first, second = mask(secret), mask(secret)
    assert first != second
    assert is_masked(first, secret)
    assert is_masked(second, secret)
    for wrong in ("", secret, first[:-1] + ("0" if first[-1] != "0" else "1"), "zz" * 64, first + "00"):
        assert not is_masked(wrong, secret)


def test_a_limit_forgets_and_tells_keys_apart() -> None:
    limit = Limit(2, 1000.0)
    assert [limit.wait_s("a") > 0 for _ in range(3)] == [False, False, True]
    assert limit.wait_s("b") == 0
    limit.forget("a")
    assert limit.wait_s("a") == 0


@pytest.mark.parametrize(("said", "grams"), [("24.5", 24.5), ("24,5", 24.5), ("24,512 g", 24.51), (" 7 g ", 7.0)])
def test_a_weight_is_read_as_people_write_it(said: str, grams: float) -> None:
    assert read_grams(said) == grams


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({}, "data"),
        ({"data": "x", "host": "0.0.0.0"}, "give public_url too"),
        ({"data": "x", "public_url": "mice.example.org"}, "https://mice.example.org"),
        ({"data": "x", "public_url": "https://example.org/mice"}, "without a path"),
        ({"data": "x", "token": True, "public_url": "https://example.org"}, "token"),
        ({"data": "x", "port": 70000}, "port"),
        ({"data": "x", "tls": {"cert_file": "/no", "key_file": "/no"}}, "PEM"),
    ],
)
def test_settings_that_cannot_be_are_refused(flags: dict[str, object], words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        load_page_settings(None, flags)


@given(st.text(max_size=30))
def test_the_way_after_signing_in_stays_on_this_site(goal: str) -> None:
    found = safe_next(goal)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))


def test_every_text_that_is_used_is_there_and_every_one_that_is_there_is_used() -> None:
    sources = [*FOLDER.glob("*.html"), *FOLDER.parent.rglob("*.py")]
    code = "\n".join(path.read_text() for path in sources)
    used = set(re.findall(r"""\b(?:t|text)\(f?["']([\w.]+)["'][,)]""", code))
    begun = set(re.findall(r"""["']([\w.]+\.)["'] ?[+~]|text\(f["']([\w.]+\.)\{""", code))
    prefixes = {one for pair in begun for one in pair if one}
    prefixes |= {f"{name}." for name in re.findall(r'known_text\("([\w.]+)"', code)} | {"problem.", "card.need."}
    assert sorted(used - set(load_texts())) == []
    assert sorted(key for key in load_texts() if key not in used and not key.startswith(tuple(prefixes))) == []


def test_a_command_in_an_advice_becomes_the_button_that_does_it() -> None:
    assert "`" not in advice("out of service: `devices retire`; or `devices acknowledge`")


def test_no_template_carries_a_style_a_script_or_a_handler_of_its_own() -> None:
    """The page's own policy would forbid them, in silence."""
    for path in FOLDER.glob("*.html"):
        text = path.read_text()
        assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:|\|safe", text), path.name
        assert all(f'src="/static/{name}"' in text for name in re.findall(r'<script src="/static/([^"]+)"', text))
        assert Path(path).read_text().count("<script>") == 0
