"""The page in a real browser: small and large labs, phones, keyboards, screen readers, lost connections, live news."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from station.page.notes import load_notes
from station.page.read import load_table
from station.store.store import Store
from tests.harness.waiting import LIMIT_S, wait_until
from tests.station.page.fleet_lab import add_fleet
from tests.station.page.lab import BOX, EPOCH, NOW, PASSWORD, PageProcess, add_people, fill, jpeg
from tests.station.samples import animal, arrival, picture_arrival, reading

LIMIT_MS = 1000 * LIMIT_S
LONG = "a-very-long-name-of-a-cage-" * 4
NAMES = (("M1", "cage-1"), ('<img src=x onerror="document.title=1">', LONG))
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1440, "height": 900}
PAGES = (
    *("/", "/cage?device=cage-1", "/cage?device=cage-2", "/animals", "/animal?name=M1", "/animals/enrol", "/labels"),
    *("/alarms", "/alarms?show=cleared", "/alarm?id=1", "/alarms/channels", "/tasks", "/lapse?name=M1"),
    f"/reading?device=cage-1&epoch={EPOCH.format(1)}&seq=120",
    *("/devices", "/device?name=cage-1", "/rollouts", "/rollout?number=1", "/storage", "/reviews"),
    *("/start", "/people", "/changes", "/account", "/nothing", "/readings?kind=animal&name=M1&from=0&until=9e9"),
)
DRAWN = (
    "/",
    "/cage?device=cage-1",
    "/animal?name=M1",
    "/animals/enrol",
    "/alarms",
    "/lapse?name=M1",
    "/device?name=cage-1",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageProcess]:
    data = tmp_path_factory.mktemp("browser") / "lab"
    fill(data, 4, days=30, a_day=4, names=NAMES, silent=1)
    add_people(data)
    add_fleet(data)
    with PageProcess(data) as found:
        yield found


@contextmanager
def opened(browser: Browser, url: str, role: str = "", **more: object) -> Iterator[Page]:
    """A tab of somebody's own; what it says against itself fails the test."""
    context = browser.new_context(**({"viewport": DESK} | more))  # type: ignore[arg-type]
    context.set_default_timeout(LIMIT_MS)
    said: list[str] = []
    tab = context.new_page()
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("console", lambda message: said.append(message.text) if "Content Security" in message.text else None)
    try:
        if role:
            tab.goto(f"{url}/login")
            tab.get_by_label("Name").fill(role)
            tab.get_by_label("Password").fill(PASSWORD)
            tab.get_by_role("button", name="Sign in").click()
            tab.wait_for_url(f"{url}/")
        yield tab
        assert said == []
    finally:
        context.close()


@pytest.mark.parametrize(("viewport", "scheme"), [(PHONE, "light"), (DESK, "dark")], ids=["phone", "desk"])
def test_every_page_serves_a_screen_reader_and_fits_its_screen(
    viewport: dict[str, int], scheme: str, page: PageProcess, browser: Browser, axe: str
) -> None:
    """All rules on a phone; what depends on colours and places once more on a large dark screen."""
    with opened(browser, page.url, "admin", viewport=viewport, color_scheme=scheme) as tab:
        for path in PAGES if scheme == "light" else DRAWN:
            tab.goto(page.url + path)
            tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            wider = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wider <= 0, f"{path} is {wider} px wider than the screen"
            assert check(tab, axe) == [], path
            assert tab.title() != "1"


def check(tab: Page, axe: str) -> list[str]:
    tab.evaluate(axe)
    found = tab.evaluate("axe.run().then((r) => r.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html)}`))")
    return list(found)


def test_the_check_for_screen_readers_finds_what_is_wrong(page: PageProcess, browser: Browser, axe: str) -> None:
    with opened(browser, page.url) as tab:
        tab.goto(f"{page.url}/login")
        tab.evaluate("document.querySelector('label').replaceWith(document.querySelector('input[name=name]'))")
        assert any("label" in line for line in check(tab, axe))


def test_a_click_on_a_point_of_the_curve_shows_its_picture_and_why(page: PageProcess, browser: Browser) -> None:
    with opened(browser, page.url, "technician") as tab:
        tab.goto(f"{page.url}/animal?name=M1")
        chart = tab.locator(".chart")
        expect(chart.locator("canvas").first).to_be_visible()
        assert "weeks old" in tab.locator("#chart1-said").inner_text()
        chart.get_by_role("button", name="Closer").click()
        wait_until(lambda: chart.get_attribute("data-points"))
        spot = tab.evaluate(
            "() => { const c = document.querySelector('.chart').chart, r = c.readings.columns, p = c.plot;"
            " p.over.scrollIntoView({ block: 'center' });"
            " const middle = (p.scales.x.min + p.scales.x.max) / 2, off = (n) => Math.abs(r.at[n] - middle);"
            " const refused = [...r.at.keys()].filter((n) => !r.accepted[n]).sort((a, b) => off(a) - off(b));"
            " const n = refused[0], b = p.over.getBoundingClientRect();"
            " return [b.left + p.valToPos(r.at[n], 'x'), b.top + p.valToPos(r.age[n] / 7, 'y')]; }"
        )
        tab.mouse.click(*spot)
        tab.locator(".point article").wait_for()
        assert "Not accepted: unlike what the model was trained on" in tab.locator(".point").inner_text()


def test_the_whole_way_to_a_reading_can_be_gone_by_keyboard(page: PageProcess, browser: Browser) -> None:
    with opened(browser, page.url, "technician") as tab:
        tab.goto(f"{page.url}/animal?name=M1")
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"
        tab.keyboard.press("Enter")
        for _ in range(60):
            tab.keyboard.press("Tab")
            if "/readings?" in (tab.evaluate("document.activeElement.href || ''")):
                break
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/readings?**")
        tab.get_by_role("rowheader").first.get_by_role("link").press("Enter")
        tab.wait_for_url("**/reading?**")
        assert tab.get_by_text("What was found").is_visible()


def test_a_reading_shows_what_the_model_saw_where_and_hides_it_again(page: PageProcess, browser: Browser) -> None:
    """The boxes lie on the picture in the frame's own pixels, whatever size the picture has."""
    with opened(browser, page.url, "technician", viewport=PHONE) as tab:
        tab.goto(f"{page.url}/reading?device=cage-1&epoch={EPOCH.format(1)}&seq=120")
        places = "[...document.querySelectorAll('.drawn img, .drawn .taken')].map((one) => one.getBoundingClientRect())"
        image, box = tab.evaluate(f"{places}.map((r) => [r.left, r.top, r.width, r.height])")
        assert box[0] - image[0] == pytest.approx(image[2] * BOX[0] / 320, abs=3)
        assert box[3] == pytest.approx(image[3] * (BOX[3] - BOX[1]) / 240, abs=3)
        assert "snout 96 %, tail base 88 %" in tab.locator("dl").inner_text()
        tab.get_by_label("Show boxes and body parts").uncheck()
        assert tab.locator(".drawn svg").is_hidden()


def test_an_animal_is_played_through_its_life_one_picture_a_week(page: PageProcess, browser: Browser) -> None:
    with opened(browser, page.url, "technician") as tab:
        tab.goto(f"{page.url}/animal?name=M1")
        tab.get_by_role("link", name="Through its life").click()
        tab.wait_for_url("**/lapse?**")
        weeks = tab.locator(".shots li").count()
        assert weeks >= 4
        slider, caption = tab.get_by_label("Week"), tab.locator(".caption")
        first = caption.inner_text()
        slider.press("ArrowRight")
        assert caption.inner_text() != first
        slider.press("Home")
        tab.get_by_role("button", name="Play").press("Enter")
        wait_until(lambda: slider.input_value() == str(weeks - 1))
        wait_until(lambda: tab.get_by_role("button", name="Play").count() == 1)
        assert caption.inner_text() == tab.locator(".shots li").last.inner_text().strip()


def test_nothing_is_played_for_who_wants_less_motion(page: PageProcess, browser: Browser) -> None:
    with opened(browser, page.url, "technician", reduced_motion="reduce") as tab:
        tab.goto(f"{page.url}/lapse?name=M1")
        tab.get_by_text("asks for less motion").wait_for()
        assert tab.get_by_role("button", name="Play").count() == 0
        tab.get_by_role("button", name="After").click()
        assert tab.get_by_label("Week").input_value() == "1"


def test_a_pasted_table_is_checked_while_it_is_typed_and_then_enrolled(page: PageProcess, browser: Browser) -> None:
    with opened(browser, page.url, "researcher", viewport=PHONE) as tab:
        tab.goto(f"{page.url}/animals/enrol")
        table = tab.get_by_label("Your table")
        table.fill("subject,sex\nP1,both\n")
        tab.get_by_text("expected female, male, unknown").wait_for()
        table.fill("subject,sex,cage\nP1,female,cage-3\n")
        tab.get_by_text("Will be enrolled (1)").wait_for()
        tab.get_by_role("button", name="Enrol").click()
        tab.wait_for_url("**/animals")
        assert tab.get_by_text("1 animals enrolled").is_visible()
        assert any(one.subject == "P1" for one in load_table(page.data)[0])


def test_a_note_written_without_a_connection_is_sent_once_when_it_is_back(page: PageProcess, browser: Browser) -> None:
    with opened(browser, page.url, "technician", viewport=PHONE) as tab:
        tab.goto(f"{page.url}/animal?name=M1")
        tab.get_by_text("Note", exact=True).click()
        tab.context.set_offline(True)
        tab.get_by_label("What you saw or did").fill("bright eyes")
        tab.locator("form[action='/note'] button").click()
        tab.get_by_text("Not sent: there is no connection").wait_for()
        tab.context.set_offline(False)
        tab.get_by_text("The note is kept").wait_for()
        assert [one.text for one in load_notes(page.data, "animal", "M1")] == ["bright eyes"]


def test_a_draft_is_put_back_after_the_browser_was_closed(page: PageProcess, browser: Browser) -> None:
    with opened(browser, page.url, "technician") as tab:
        tab.goto(f"{page.url}/animal?name=M1")
        tab.get_by_text("Note", exact=True).click()
        tab.get_by_label("What you saw or did").fill("half a sentence")
        tab.goto(f"{page.url}/")
        tab.goto(f"{page.url}/animal?name=M1")
        assert tab.get_by_label("What you saw or did").input_value() == "half a sentence"


def test_a_new_reading_is_on_the_wall_by_itself(tmp_path: Path, browser: Browser) -> None:
    """Also after the page's process was started anew meanwhile."""
    data = tmp_path / "lab"
    fill(data, 4, days=1)
    add_people(data)
    with PageProcess(data) as page, opened(browser, page.url, "guest") as tab:
        card = tab.get_by_role("listitem").filter(has_text="cage-4")
        card.wait_for()
        first = send_one(data, 1000)
        wait_until(lambda: first in (card.locator("img").get_attribute("src") or ""))
        wait_until(lambda: card.locator("img").evaluate("one => one.naturalWidth") == 96)
        assert page.stop() == 0
        wait_until(lambda: tab.locator("#offline").is_visible())
        page.start()
        second = send_one(data, 1001)
        wait_until(lambda: second in (card.locator("img").get_attribute("src") or ""))
        assert not tab.locator("#offline").is_visible()


def send_one(data: Path, seq: int) -> str:
    """Return the begin of the picture's digest, by which the wall's address names it."""
    epoch, at = EPOCH.format(4), NOW.replace(microsecond=seq)
    shot = jpeg(4, seq, epoch, "cage-4")
    one = reading(
        seq,
        device="cage-4",
        cage="cage-4",
        at=at,
        thumbnail=shot,
        age_days=104.0,
        animals=(animal(104.0, subject=None),),
    )
    with closing(Store.open(data)) as store:
        store.take([arrival(one, seq, device="cage-4", epoch=epoch), picture_arrival(shot, device="cage-4")])
    return hashlib.sha256(shot).hexdigest()[:12]


def test_a_guest_sees_the_wall_and_nothing_to_change(page: PageProcess, browser: Browser) -> None:
    with opened(browser, page.url, "guest") as tab:
        assert tab.get_by_role("navigation").get_by_role("link").all_inner_texts() == ["Wall"]
        tab.get_by_role("link", name="cage-1").click()
        tab.wait_for_url("**/cage?**")
        assert tab.get_by_text("Silent.").is_visible()
        assert tab.locator("main form").count() == 0


def test_the_first_person_is_led_from_an_empty_server_to_the_first_animal(
    tmp_path: Path, browser: Browser, axe: str
) -> None:
    data = tmp_path / "lab"
    data.mkdir()
    with PageProcess(data) as page:
        page.wait_for("the first one is the admin's: ")
        link = page.log().rpartition("the admin's: ")[2].split()[0]
        with opened(browser, page.url, viewport=PHONE) as tab:
            tab.goto(link)
            tab.get_by_label("Name").fill("Ada")
            tab.get_by_label("Password, 12 letters").fill(PASSWORD)
            tab.get_by_label("again").fill(PASSWORD)
            tab.get_by_role("button", name="Make the account").click()
            tab.wait_for_url("**/start")
            assert tab.get_by_text("No station has run on this folder yet").is_visible()
            for path, words in (
                ("/", "No cage yet"),
                ("/animals", "No animal yet"),
                ("/labels", "No cage yet"),
                ("/changes", "joined"),
                ("/animals/enrol", "Your table"),
            ):
                tab.goto(page.url + path)
                assert tab.get_by_text(words).first.is_visible(), path
                assert check(tab, axe) == [], path
            assert tab.goto(link).status == 404  # type: ignore[union-attr]


def found(tab: Page, url: str, words: str) -> int:
    """How many cages the wall has for these words."""
    tab.goto(f"{url}/?{urlencode({'q': words})}")
    return tab.locator(".card").count()


def test_a_lab_that_grows_from_one_cage_to_five_hundred_has_its_wall(tmp_path: Path, browser: Browser) -> None:
    data = tmp_path / "lab"
    fill(data, 1, days=1, a_day=1)
    add_people(data)
    with PageProcess(data) as page, opened(browser, page.url, "guest") as tab:
        for before, cages, most_kb in ((0, 1, 4), (1, 50, 8), (50, 500, 60)):
            if before:
                fill(data, cages, days=1, a_day=1, first=before + 1)
            # The browser that is open gets them by itself.
            wait_until(lambda number=cages: tab.locator(".card").count() == number, 4 * LIMIT_S)  # type: ignore[misc]
            wait_until(lambda: "being checked" not in tab.locator("#summary").inner_text(), 4 * LIMIT_S)
            tab.goto(f"{page.url}/")
            assert tab.locator(".card img").count() == cages
            size = tab.evaluate("performance.getEntriesByType('navigation')[0].encodedBodySize")
            assert size < 1024 * most_kb
            # A card is there with its first reading; its animal's name follows with the table.
            wait_until(lambda number=cages: found(tab, page.url, f"M{number}") == 1, 4 * LIMIT_S)  # type: ignore[misc]
            tab.goto(f"{page.url}/")
        assert page.stop() == 0
