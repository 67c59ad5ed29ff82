"""Strict JSON refuses what would change a measurement in silence."""

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.delivery import Committed, CommittedEpoch
from edge.contract.jsontext import decode, encode, parse
from edge.errors import MessageError

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_plain_values_survive_a_round_trip(value: object) -> None:
    assert parse(encode(value)) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_on_the_way_out(value: float) -> None:
    with pytest.raises(MessageError, match="finite"):
        encode({"age_days": [1.0, value]})


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}'])
def test_a_number_that_is_none_is_refused_on_the_way_in(text: str) -> None:
    with pytest.raises(MessageError, match="finite"):
        parse(text)


def test_a_duplicate_key_is_refused_and_named() -> None:
    with pytest.raises(MessageError, match="'seq' twice"):
        parse('{"seq": 1, "inner": {"x": 1}, "seq": 2}')


@pytest.mark.parametrize("data", [b"\xff\xfe", b"", b"{", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"])
def test_garbage_is_one_clear_error(data: bytes) -> None:
    with pytest.raises(MessageError, match="expected"):
        parse(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_the_contracts_error(data: bytes) -> None:
    with suppress(MessageError):
        parse(data)


def test_an_unknown_field_names_its_struct() -> None:
    with pytest.raises(MessageError, match=r"Committed.*unknown field `extra`"):
        decode('{"schema":"cageclock/committed/1","station_db":"x","epochs":[],"extra":1}', Committed)


def test_a_struct_survives_a_round_trip() -> None:
    message = Committed(station_db="db", epochs=(CommittedEpoch(epoch="0" * 32, through=9, holes=((3, 4),)),))
    assert decode(encode(message), Committed) == message


@pytest.mark.parametrize("text", ['{"a":1e400}', '{"a":-1e999}', '{"a":9223372036854775808}', '{"a":"\\ud800"}'])
def test_what_nobody_can_store_is_refused(text):
    with pytest.raises(MessageError):
        parse(text)


@pytest.mark.parametrize(
    "text", ['{"a":1e-400}', '{"a":-9223372036854775808}', '{"a":"\\ud83d\\ude00"}', '{"a":1e100}']
)
def test_what_only_looks_like_it_is_read(text):
    assert parse(text) == json.loads(text)
