"""A lab of a given size in a folder, filled by the store as a broker would, and the page over it as a child process."""

from __future__ import annotations

import io
import re
import socket
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import msgspec
from PIL import Image, ImageDraw

from edge.contract import jsontext
from edge.contract.reading import CameraState, Keypoint, Light, Outcome
from station.page.accounts import add_user
from station.page.database import page_database
from station.page.roles import Role
from station.registry.subjects import import_subjects
from station.store.message import Arrival
from station.store.store import Store
from tests.harness.child import Child, python
from tests.station.samples import animal, arrival, picture_arrival, reading

PASSWORD = "twelve letters"
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
EPOCH = "{:032x}"
BOX = (90.0, 80.0, 250.0, 160.0)
PARTS = (
    Keypoint(part="snout", x=248.0, y=104.0, likelihood=0.96),
    Keypoint(part="tail_base", x=95.0, y=130.0, likelihood=0.88),
)
"""Of the shape in each picture, in its pixels."""


def jpeg(cage: int, seq: int, epoch: str, device: str) -> bytes:
    """A picture of a mouse-like shape, with its identity in the EXIF and a place that nobody shall see."""
    image = Image.new("RGB", (320, 240), (70 + cage * 17 % 60, 74, 66))
    draw = ImageDraw.Draw(image)
    draw.ellipse((90, 90, 220, 160), fill=(150, 120, 95))
    draw.ellipse((200, 80, 250, 125), fill=(160, 130, 100))
    draw.line((95, 130, 30, 170), fill=(190, 140, 130), width=4)
    exif = Image.Exif()
    identity = {"device_id": device, "epoch": epoch, "seq": seq, "captured_at": NOW.isoformat()}
    exif[0x010E] = jsontext.encode(identity).decode()
    exif.get_ifd(0x8825)[2] = (47.0, 22.0, 30.0)
    target = io.BytesIO()
    image.save(target, "JPEG", exif=exif, quality=60)
    return target.getvalue()


def fill(
    data: Path,
    cages: int,
    *,
    days: int = 3,
    a_day: int = 2,
    names: Sequence[tuple[str, str]] = (),
    silent: int = 0,
    first: int = 1,
) -> None:
    """Make a lab of so many cages, each with its animal in the table, `days` long up to now.

    names: (animal, cage) of the first ones in place of M1 in cage-1 and so on. silent: so many sent nothing for days.
    first: the number of the first cage that is new.
    """
    store = Store.open(data)
    rows = ["subject\tstrain\tsex\tdate_of_birth\tcage"]
    for number in range(first, cages + 1):
        name, cage = names[number - 1] if number <= len(names) else (f"M{number}", f"cage-{number}")
        device = f"cage-{number}"
        _fill_cage(store, device, cage, number, days, a_day, behind_days=4 if number <= silent else 0)
        born = (NOW - timedelta(days=100 + number)).date()
        rows.append(f"{_cell(name)}\tC57BL/6J\tfemale\t{born}\t{_cell(cage)}")
    store.close()
    if cages:
        (data / "animals.tsv").write_text("\n".join(rows) + "\n")
        assert import_subjects(data / "animals.tsv", data).refused == ()


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _fill_cage(store: Store, device: str, cage: str, number: int, days: int, a_day: int, behind_days: int) -> None:
    epoch, messages = EPOCH.format(number), []
    total = days * a_day
    for seq in range(1, total + 1):
        at = NOW - timedelta(days=behind_days, hours=(total - seq) * 24 / a_day)
        age = 100.0 + number - (NOW - at).total_seconds() / 86400 + (seq * 7919 % 13 - 6)
        shot = jpeg(number, seq, epoch, device) if seq in (total, 1) or seq % (7 * a_day) == 0 else None
        bad = seq % 5 == 0 and seq != total
        one = reading(
            seq,
            device=device,
            cage=cage,
            at=at,
            light=Light.LIGHT if 7 <= at.hour < 19 else Light.DARK,
            thumbnail=shot,
            accepted=not bad,
            age_days=age,
            animals=(msgspec.structs.replace(animal(age, accepted=not bad, subject=None), box=BOX, keypoints=PARTS),),
            outcome=Outcome.OK,
        )
        one = msgspec.structs.replace(one, camera=CameraState(backend="lab", model="lab", width=320, height=240))
        messages.append(arrival(one, seq, device=device, epoch=epoch))
        if shot is not None:
            messages.append(picture_arrival(shot, device=device))
    health = {"problems": [], "advice": [], "longest_interval_s": 86400 / a_day}
    state = [Arrival(device, "availability", b"online", NOW.timestamp())]
    state.append(Arrival(device, "health", jsontext.encode(health), NOW.timestamp()))
    for first in range(0, len(messages), 500):
        store.take(messages[first : first + 500])
    store.take(state)


def add_people(data: Path) -> None:
    """Make one person of each role, called like it."""
    with page_database(data) as connection:
        for role in Role:
            if role is not Role.NOBODY:
                add_user(connection, role.word, PASSWORD, role)


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class PageProcess(Child):
    """A real `cageclock-station serve` over a folder."""

    def __init__(self, data: Path, *more: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = data
        command = python("-m", "station.cli", "serve", "--data", data, "--port", self.port, *more)
        super().__init__(command, data.with_name(data.name + "-page.log"))

    def start(self) -> None:
        """Start it and return once it answers."""
        super().start()
        self.wait_for("the page is at")


class Browserless:
    """Somebody at the page without a browser: one connection a request, cookies kept, forms sent as a browser does."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = ""
        self.text = ""
        self.answer: HTTPResponse

    def get(self, path: str, **headers: str) -> int:
        """Return the status; `text` is the body, `answer` has the headers."""
        return self._ask("GET", path, None, headers)

    def post(self, path: str, values: dict[str, str], **headers: str) -> int:
        """Send a form as it stands."""
        sent = {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", path, urlencode(values), sent | headers)

    def send(self, page: str, path: str, values: dict[str, str], **headers: str) -> int:
        """Open a page and send a form with the hidden fields that the page has."""
        self.get(page)
        return self.post(path, self.hidden() | values, **headers)

    def hidden(self) -> dict[str, str]:
        """The token and the number of the last page's first form."""
        return {
            name: found[1]
            for name in ("csrf", "once")
            if (found := re.search(f'name="{name}" value="(\\w+)"', self.text))
        }

    def sign_in(self, name: str, password: str = PASSWORD) -> int:
        return self.post("/login", {"name": name, "password": password, "next": "/"})

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> int:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=120)) as connection:
            more = {"Cookie": self.cookie} if self.cookie else {}
            connection.request(method, path, body, more | headers)
            self.answer = connection.getresponse()
            for name, value in self.answer.getheaders():
                if name.lower() == "set-cookie":
                    self.cookie = value.partition(";")[0]
            self.content = self.answer.read()
            self.text = self.content.decode(errors="replace")
            return self.answer.status
