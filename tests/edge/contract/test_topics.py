"""Topics cannot reach beyond the device's own subtree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.topics import DeviceTopics, check_name, parse_topic, topic_part
from edge.errors import MessageError


@pytest.mark.parametrize("name", ["", "+", "#", "a/b", "A", "-a", "a" * 33, "cage.1", "station", "cage 1", "käfig"])
def test_a_name_that_could_be_a_wildcard_or_a_level_is_refused(name: str) -> None:
    with pytest.raises(MessageError, match="expected a name"):
        DeviceTopics(name)


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True).filter(lambda name: name != "station"))
def test_a_topic_is_parsed_back_to_device_and_suffix(name: str) -> None:
    assert parse_topic(DeviceTopics(name).of("thumbnail/latest")) == (check_name(name), "thumbnail/latest")


@pytest.mark.parametrize(
    "topic", ["", "cageclock/v1/", "cageclock/v1/a", "x/cageclock/v1/a/b", "cageclock/v2/a/reading"]
)
def test_a_foreign_topic_is_refused(topic: str) -> None:
    with pytest.raises(MessageError):
        parse_topic(topic)


@given(st.text())
def test_any_subject_name_becomes_one_safe_topic_level(name: str) -> None:
    part = topic_part(name)
    assert 1 <= len(part) <= 64
    assert not set(part) & set("/+#\0 ")
