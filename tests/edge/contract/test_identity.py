"""A record's identity is readable even where its body is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.identity import Head, digest, is_epoch, join, read_seq, split
from edge.contract.jsontext import encode, parse
from edge.errors import MessageError

heads = st.builds(
    Head,
    epoch=st.text("0123456789abcdef", min_size=32, max_size=32),
    seq=st.integers(1, 2**53 - 1),
    first_held=st.integers(1, 2**53 - 1),
    replayed=st.booleans(),
)
bodies = st.dictionaries(st.text(), st.integers(-(2**63), 2**63 - 1) | st.text(), min_size=1).map(
    lambda body: encode({"schema": "x/1"} | body)
)


@given(heads, bodies)
def test_head_and_body_come_apart_as_they_went_together(head: Head, body: bytes) -> None:
    assert split(join(head, body)) == (head, body)


@given(heads, bodies)
def test_a_payload_is_one_flat_json_object(head: Head, body: bytes) -> None:
    if {"epoch", "seq", "first_held", "replayed"} & parse(body).keys():
        return
    assert parse(join(head, body)) == {
        "epoch": head.epoch,
        "seq": head.seq,
        "first_held": head.first_held,
        "replayed": head.replayed,
    } | parse(body)


def test_the_digest_ignores_how_often_a_record_was_sent() -> None:
    body = b'{"schema":"x/1"}'
    live, again = Head("a" * 32, 5, 1, False), Head("a" * 32, 5, 4, True)
    assert digest(split(join(live, body))[1]) == digest(split(join(again, body))[1])


def test_identity_is_read_from_a_payload_with_a_broken_body() -> None:
    head, _ = split(join(Head("a" * 32, 5, 1, False), b'{"schema":"reading/99", broken'))
    assert (head.epoch, head.seq) == ("a" * 32, 5)


@given(st.binary(max_size=120))
def test_garbage_has_no_identity(payload: bytes) -> None:
    with pytest.raises(MessageError):
        split(payload)


def test_an_epoch_is_thirty_two_hex_digits() -> None:
    assert is_epoch("0123456789abcdef" * 2)
    assert not is_epoch("0123456789ABCDEF" * 2)
    assert not is_epoch("0" * 33)


@pytest.mark.parametrize(("seq", "first_held"), [(2**53, 1), (1, 2**53), (0, 1), (1, 0), (10**48, 1)])
def test_a_number_beyond_the_bounds_is_no_identity(seq: int, first_held: int) -> None:
    with pytest.raises(MessageError):
        split(join(Head("a" * 32, seq, first_held, False), b'{"schema":"x/1"}'))


@pytest.mark.parametrize("text", ["0", "01", "-1", "1.0", "9" * 16, "1" + "0" * 48, "0" * 48 + "1", "", "1\n", "٣"])
def test_a_text_that_spells_no_sequence_number_is_none(text: str) -> None:
    assert read_seq(text) is None


def test_the_highest_sequence_number_is_one() -> None:
    assert read_seq(str(2**53 - 1)) == 2**53 - 1
