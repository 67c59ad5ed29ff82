"""Strict JSON refuses what would change a measurement in silence."""

import json
import math
import time
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract import jsontext
from edge.contract.committed import Committed, CommittedEpoch
from edge.contract.jsontext import MAX_DEPTH, decode, encode, parse
from edge.contract.reading import CameraState, Reading
from edge.contract.record import Event
from edge.errors import MessageError
from tests.campaigns.synthetic import plain_reading

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


@pytest.mark.parametrize(
    "text",
    ["[" + "9" * 19 + "]", "12345678901234567890", "[1E0400]", "[" + "9" * 400 + ".5]", "[1" + "0" * 18 + "e300]"],
)
def test_a_number_that_is_too_large_is_refused_however_it_is_written(text: str) -> None:
    with pytest.raises(MessageError, match=r"64 bits|finite"):
        parse(text)


@pytest.mark.parametrize(
    "text", ["[0." + "1" * 40 + "]", "[1e-400]", '["' + "9" * 40 + 'e999"]', "[1e99]", "[1.0e+99]"]
)
def test_many_digits_alone_make_no_number_too_large(text: str) -> None:
    assert parse(text) == json.loads(text)


def test_depth_is_bounded_by_the_contract_and_not_by_the_interpreter() -> None:
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse(deepest) == json.loads(deepest)
    with pytest.raises(MessageError, match="nested too deeply"):
        parse("[" + deepest + "]")
    assert parse('["' + "[" * 1000 + '", "\\"[[["]') == ["[" * 1000, '"[[[']
    assert parse("[" + "[{}]," * 1000 + "0]")[-1] == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda n: b"{" + b",".join(b'"k%d":1' % i for i in range(n // 8)) + b',"k%d":2}' % (n // 8 - 1),
        lambda n: b'"' + b'\\"' * (n // 2),
        lambda n: b'"\\' * (n // 2),
        lambda n: b"[" * n,
        lambda n: b"[]" * (n // 2),
        lambda n: b"[" + b"9" * n + b"]",
        lambda n: b"[0." + b"9" * n + b"]",
        lambda n: b"[" + b",".join([b"9" * 4000] * (n // 4000)) + b"]",
        lambda n: b"[" + b",".join([b"1e999"] * (n // 6)) + b"]",
    ],
    ids=["twice", "open string", "quotes", "deep", "brackets", "digits", "fraction", "integers", "exponents"],
)
def test_reading_takes_no_more_than_time_in_proportion_to_the_length(make) -> None:
    """429 kB of keys of which the last came twice took 19.5 s: eight times the text took 64 times as long."""
    with suppress(MessageError):
        parse(make(1 << 20))  # nothing of an eighth is measured cold

    def quickest(data: bytes) -> float:
        taken = []
        for _ in range(3):
            began = time.process_time()
            with suppress(MessageError):
                parse(data)
            taken.append(time.process_time() - began)
        return min(taken)

    assert quickest(make(1 << 20)) < 30 * quickest(make(1 << 17)) + 0.2


def test_a_digest_with_a_newline_behind_it_is_no_digest() -> None:
    with pytest.raises(MessageError):
        decode(encode({"station_db": "x", "epochs": [{"epoch": "0" * 32 + "\n", "through": 1}]}), Committed)


def _written() -> bytes:
    reading = plain_reading(datetime(2026, 5, 1, 12, 0, 0, 120, UTC), "x", None)
    camera = CameraState(
        backend="b", model="m", width=4, height=3, exposure_us=20000, lux=2e-05, colour_gains=(1, 1e-7)
    )
    return jsontext.encode(msgspec.structs.replace(reading, camera=camera))


def test_what_encode_has_written_is_decoded_alike_without_a_look_at_its_keys() -> None:
    body = _written()
    assert b"2e-05" in body
    assert b":20000," in body
    assert jsontext.decode_as_written(body, Reading) == jsontext.decode(body, Reading)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"frames":1', b'"frames":1,"frames":1'),
        (b'"detail":"x",', b'"detail":"x","detail":"x",'),
        (b'"detail":"x",', b'"detail":"x","accepted":false,'),  # one twice, another left to its default
        (b'"frames":1,', b""),
        (b'"frames":1', b'"frames" :1'),
        (b'"frames":1', b'"fram\\u0065s":1'),
        (b'"detail":"x"', b'"detail":"\\ud800"'),
        (b'"detail":"x"', b'"detail":"\xff"'),
        (b'"lux":2e-05', b'"lux":1e400'),
        (b'"lux":2e-05', b'"lux":NaN'),
        (b'"width":4', b'"width":99999999999999999999'),
        (b'"timings":{"capture_ms":0.0,"observe_ms":0.0,"model_ms":0.0},', b'"timings":{"capture_ms":0.0},'),
    ],
)
def test_any_other_text_is_left_to_the_careful_way(before: bytes, after: bytes) -> None:
    """Also where msgspec alone would take it and let the last of two values win."""
    body = _written()
    assert before in body
    assert jsontext.decode_as_written(body.replace(before, after), Reading) is None


def test_a_type_whose_keys_cannot_be_told_is_refused() -> None:
    with pytest.raises(TypeError, match="known names"):
        jsontext.decode_as_written(b"{}", Event)
    alike = msgspec.defstruct("Alike", [("mean", int), ("man", int)], forbid_unknown_fields=True)
    with pytest.raises(TypeError, match="differ"):
        jsontext.decode_as_written(b"{}", alike)
