"""The pages of alarms: what stands, what became of one, and where they are sent."""

from __future__ import annotations

import time

from starlette.responses import Response

from edge.errors import OperatorError
from station.page.accounts import load_users
from station.page.alarms import decide
from station.page.alarms.alarm import ACKNOWLEDGED, Alarm, find_alarm, load_cleared, load_history, load_open
from station.page.alarms.channels import (
    GROUPS_MIN,
    Channel,
    add_channel,
    change_channel,
    check_address,
    load_channels,
    queue_test,
)
from station.page.database import page_database
from station.page.read import load_table, log
from station.page.texts import text
from station.page.web import Visit
from station.registry import devices
from station.registry.devices import load_decisions

TEST_WAIT_S = 8.0
"""So long the test's form waits for its answer; after that the page shows it when it comes."""


def show_alarms(visit: Visit) -> Response:
    """Return the alarms that stand, or those that are over."""
    now_s = time.time()
    with page_database(visit.data) as connection:
        standing, channels = load_open(connection), load_channels(connection)
        over = load_cleared(connection) if visit.value("show") == "cleared" else []
    groups = {
        "active": [one for one in standing if one.state != ACKNOWLEDGED and not one.sleeps(now_s)],
        "snoozed": [one for one in standing if one.state != ACKNOWLEDGED and one.sleeps(now_s)],
        "acknowledged": [one for one in standing if one.state == ACKNOWLEDGED],
    }
    for alarms in groups.values():
        alarms.sort(key=lambda one: one.began_at, reverse=True)
    failing = [one for one in channels if one.failing_since is not None and one.enabled]
    zone = load_table(visit.data)[1].lab
    cages = {card.device: card for card in visit.page.watch.cards.values()}
    return visit.answer(
        "alarms.html",
        groups=groups,
        over=over,
        failing=failing,
        channels=channels,
        zone=zone,
        cages=cages,
        cleared=visit.value("show") == "cleared",
        said=said_now(visit),
    )


def show_alarm(visit: Visit) -> Response:
    """Return one alarm with its history and what can be done about it."""
    with page_database(visit.data) as connection:
        alarm = find_alarm(connection, visit.value("id"))
        if alarm is None:
            return visit.answer("problem.html", 404, title=text("problem.missing"), said=text("alarm.unknown"))
        history = load_history(connection, alarm.id)
        people = [user.name for user in load_users(connection) if not user.disabled]
    zone = load_table(visit.data)[1].of(alarm.device)
    card = visit.page.watch.cards.get(alarm.device)
    return visit.answer(
        "alarm.html",
        alarm=alarm,
        said=said_now(visit).get((alarm.device, alarm.kind), alarm.text),
        sleeps=alarm.sleeps(time.time()),
        history=history,
        people=people,
        zone=zone,
        card=card,
        snoozes=decide.SNOOZES_H,
    )


def decide_alarm(visit: Visit) -> Response:
    """Acknowledge, comment, assign or put off an alarm."""
    what, said = visit.value("decision"), visit.value("said")
    with page_database(visit.data) as connection:
        alarm = find_alarm(connection, visit.value("id"))
        if alarm is None:
            raise OperatorError(text("alarm.unknown"))
        if what in ("acknowledge", "snooze") and alarm.cleared_at is not None:
            raise OperatorError(text("alarm.over"))
        if what == "acknowledge":
            _acknowledge_in_log(visit, alarm, decide.check_comment(said))
            decide.acknowledge_alarm(connection, visit.name, alarm, said)
        elif what == "comment":
            decide.comment_alarm(connection, visit.name, alarm, said)
        elif what == "assign":
            decide.assign_alarm(connection, visit.name, alarm, visit.value("to"))
        elif what == "snooze":
            decide.snooze_alarm(connection, visit.name, alarm, visit.value("hours"))
        else:
            raise OperatorError(f"decision: expected acknowledge, comment, assign or snooze, got {what[:40]!r}")
    visit.page.watch.look_again()
    if visit.value("back") == "list":
        return visit.go("/alarms", text(f"alarm.did.{what}"))
    return visit.go("/alarm", text(f"alarm.did.{what}"), id=str(alarm.id))


def show_channels(visit: Visit) -> Response:
    """Return where alarms are sent, and the form for another one."""
    return _channels(visit, {})


def keep_channel(visit: Visit) -> Response:
    """Add a channel, after a child process found its address good."""
    values = {name: visit.value(name) for name in ("name", "address", "quiet_from", "quiet_until", "group")}
    try:
        found = visit.page.sender.ask(check_address(values["address"]))
        if not found["ok"]:
            raise OperatorError(f"address: {found['said']}")
        with page_database(visit.data) as connection:
            urgent = visit.value("urgent_only") == "yes"
            add_channel(connection, visit.name, str(found["service"]), values, urgent_only=urgent)
    except OperatorError as error:
        return _channels(visit, values, str(error), 422)
    return visit.go("/alarms/channels", text("channel.added", name=values["name"]))


def decide_channel(visit: Visit) -> Response:
    """Send a test, or switch a channel on or off, or remove it."""
    what = visit.value("decision")
    with page_database(visit.data) as connection:
        channel = next((one for one in load_channels(connection) if str(one.id) == visit.value("id")), None)
        if channel is None:
            raise OperatorError(text("channel.unknown"))
        if what != "test":
            change_channel(connection, visit.name, channel, what)
            return visit.go("/alarms/channels", text(f"channel.did.{what}", name=channel.name))
        number = queue_test(connection, channel)
    return visit.go("/alarms/channels", _tested(visit, channel, number))


def said_now(visit: Visit) -> dict[tuple[str, str], str]:
    """Return what is wrong now in words, by device and kind: an alarm keeps the words of its beginning."""
    cards = visit.page.watch.cards.values()
    return {(card.device, problem.code): problem.text for card in cards for problem in card.problems}


def _channels(visit: Visit, values: dict[str, str], wrong: str = "", status: int = 200) -> Response:
    with page_database(visit.data) as connection:
        channels = load_channels(connection)
    shown = {key: value for key, value in values.items() if key != "address"}
    zone = load_table(visit.data)[1].lab
    return visit.answer(
        "channels.html", status, channels=channels, values=shown, wrong=wrong, groups=GROUPS_MIN, zone=zone
    )


def _tested(visit: Visit, channel: Channel, number: int) -> str:
    """Return what became of a test within a few seconds."""
    visit.page.sender.wake()
    until_s = time.monotonic() + TEST_WAIT_S
    while time.monotonic() < until_s:
        with page_database(visit.data) as connection:
            row = connection.execute("SELECT * FROM outgoing WHERE id = ?", (number,)).fetchone()
        if row is not None and row["sent_s"] is not None:
            return text("channel.test_sent", name=channel.name)
        if row is None or row["given_up"]:
            return text("channel.test_failed", name=channel.name, said=row["said"] if row is not None else "")
        time.sleep(0.1)
    return text("channel.test_waits", name=channel.name)


def _acknowledge_in_log(visit: Visit, alarm: Alarm, said: str) -> None:
    """Keep it where `status` and the cage's page look too: beside what of the device was acknowledged before."""
    card = visit.page.watch.cards.get(alarm.device)
    counts = card.status.counts if card is not None and card.status is not None else {}
    if alarm.kind not in counts or card is None or card.status is None:
        return
    with log(visit.data) as connection:
        before = load_decisions(connection).acknowledged.get(alarm.device)
    known = {code: counts[code] for code in card.status.known}
    if before is not None:
        known = {code: count for code, count in before.problems.items() if code in counts} | known
    devices.acknowledge(visit.data, alarm.device, known | {alarm.kind: counts[alarm.kind]}, f"{visit.name}: {said}")
