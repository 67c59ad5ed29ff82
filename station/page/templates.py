"""The templates' environment: every value is escaped, every text comes from `station.page.texts`."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from station.page.entry import EDITABLE, REASONS, animal_address
from station.page.read import Picture
from station.page.review.show import QUESTIONS
from station.page.show_wall import card_id
from station.page.texts import has_text, text
from station.page.wall import Card
from station.page.web import query
from station.printable import printable
from station.registry.reviews import Key
from station.status import ago

FOLDER = Path(__file__).parent / "templates"


def make_templates() -> Environment:
    """Return the environment."""
    found = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals.update(
        t=text,
        query=query,
        animal_address=animal_address,
        card_id=card_id,
        picture_address=picture_address,
        newest_address=newest_address,
        known_text=known_text,
        EDITABLE=EDITABLE,
        REASONS=REASONS,
        QUESTIONS=QUESTIONS,
        reading_address=reading_address,
        now=lambda: datetime.now(UTC),
    )
    found.filters.update(
        weeks=weeks, gap=gap, ago=since, local=local, iso=iso, day=day, advice=advice, clean=printable, at=at
    )
    return found


def picture_address(picture: Picture, size: int = 0) -> str:
    """Return the address of a stored picture; it names the digest, so that a browser keeps it for ever."""
    values: dict[str, str | int] = {"device": picture.device, "epoch": picture.epoch, "seq": picture.seq}
    return query("/picture", **values, v=picture.sha256[:12], **({"size": size} if size else {}))


def newest_address(card: Card) -> str:
    """Return the address of a cage's newest picture, small; a short one, because a wall has hundreds."""
    digest = card.newest.picture.sha256[:12] if card.newest.picture is not None else ""
    return query("/picture", device=card.device, v=digest, size=96)


def reading_address(key: Key) -> str:
    """Return the address of a reading's page."""
    return query("/reading", device=key[0], epoch=key[1], seq=key[2])


def weeks(days: float | None) -> str:
    """Return an age in weeks with one decimal, or a dash."""
    return "–" if days is None else f"{days / 7:.1f}"


def gap(days: float | None) -> str:
    """Return a difference in weeks with its sign, or a dash."""
    return "–" if days is None else f"{days / 7:+.1f}".replace("-", "−")


def since(at: datetime | None) -> str:
    """Return how long ago that was."""
    return text("never") if at is None else text("ago", time=ago(at, datetime.now(UTC)))


def local(at: datetime | None, zone: tzinfo) -> str:
    """Return a time in the room's zone, to the minute, with its offset."""
    return "–" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M %z")


def day(at_s: float, zone: tzinfo = UTC) -> str:
    """Return the day of a time given as Unix seconds."""
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone).date().isoformat()


def at(seconds: float) -> datetime:
    """Return a time given as Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def iso(at: datetime | None) -> str:
    """Return a time for machines."""
    return "" if at is None else at.isoformat(timespec="seconds")


def advice(said: str) -> str:
    """Return what is wrong in words for the page: where the station names a command, the page has a button."""
    for command in ("retire", "acknowledge", "reinstate"):
        said = said.replace(f"`devices {command}`", text(f"advice.{command}"))
    return printable(said[:1].upper() + said[1:])


def known_text(prefix: str, code: str) -> str:
    """Return the words for a code that a device sent, or the code itself where there are none."""
    key = f"{prefix}.{code}"
    return text(key) if has_text(key) else code.replace("_", " ")
