"""Topics cannot reach beyond the device's own subtree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.topics import DeviceTopics, check_device, check_name, parse_topic, topic_part
from edge.errors import MessageError


@pytest.mark.parametrize("name", ["", "+", "#", "a/b", "A", "-a", "a" * 33, "cage.1", "station", "cage 1", "käfig"])
def test_a_name_that_could_be_a_wildcard_or_a_level_is_refused(name: str) -> None:
    with pytest.raises(MessageError, match="expected a name"):
        DeviceTopics(name)


@pytest.mark.parametrize("name", ["station", "operator", "dashboard", "operator-2", "dashboard-17"])
def test_a_device_cannot_have_the_name_of_a_role_on_the_broker(name: str) -> None:
    """The access list gives rights by the certificate's name: such a device could command the others."""
    with pytest.raises(MessageError, match="no role on the broker"):
        parse_topic(f"cageclock/v1/{name}/reading")


@pytest.mark.parametrize("name", ["lab1", "lab1-a", "lab1-z"])
def test_a_device_cannot_have_the_name_of_its_station_or_of_one_of_the_stations_loggers(name: str) -> None:
    with pytest.raises(MessageError, match="not the station's"):
        check_device(name, "lab1")


@pytest.mark.parametrize(
    "name",
    ["cage07", "operator1", "operators", "dashboard-room3", "operator-a", "station2", "lab1-cage07", "lab10", "lab"],
)
def test_names_that_only_look_like_a_role_are_legitimate(name: str) -> None:
    assert check_device(name, "lab1") == name
    assert parse_topic(f"cageclock/v1/{name}/reading") == (name, "reading")


@given(
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True).filter(
        lambda name: not name.startswith(("station", "operator", "dashboard"))
    )
)
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
