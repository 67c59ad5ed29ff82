"""What a process that works for ever does with an exception that nobody foresaw."""

import pytest

from edge.contract.service.unexpected import LONGEST_S, MOST_IN_A_ROW, Unexpected
from edge.errors import DeviceError


def raised(text: str) -> Exception:
    """Return an exception with a traceback, as of a real fault."""
    try:
        raise KeyError(text)
    except KeyError as error:
        return error


def test_it_is_reported_once_with_its_traceback_and_in_one_line_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    unexpected = Unexpected("fetch")
    assert unexpected.note(raised("a")) == ("fetch met an unexpected KeyError: 'a'", True)
    assert capsys.readouterr().err.count("Traceback (most recent call last)") == 1
    assert unexpected.note(raised("a")) == ("fetch met an unexpected KeyError: 'a'", False)
    assert capsys.readouterr().err == ""
    assert unexpected.note(raised("b"))[1]


def test_the_pauses_grow_to_a_limit_and_then_a_fresh_process_is_asked_for() -> None:
    unexpected, pauses = Unexpected("fetch", first_s=5.0), []
    for _ in range(MOST_IN_A_ROW - 1):
        unexpected.note(raised("a"))
        pauses.append(unexpected.pause_s())
    assert pauses == [5.0, 10.0, 20.0, LONGEST_S, LONGEST_S]
    with pytest.raises(DeviceError, match=rf"KeyError: 'a', {MOST_IN_A_ROW} times in a row; it ends to be started"):
        unexpected.note(raised("a"))


def test_the_wait_ends_with_the_process() -> None:
    unexpected = Unexpected("fetch", first_s=LONGEST_S)
    unexpected.note(raised("a"))
    asked = iter((False, True))
    unexpected.wait(lambda: next(asked))
    assert next(asked, None) is None
