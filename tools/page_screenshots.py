"""Pictures of every page of a running `cageclock-station serve --token`, on a phone and on a desk, light and dark."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VIEWS = {"phone": (360, 740, "light"), "desk": (1440, 900, "light"), "desk-dark": (1440, 900, "dark")}
FOLLOWED = 2
"""Of each kind of page so many are taken: the first links that are found."""


def main(arguments: list[str]) -> int:
    """Take the pictures and return 0; 2 where there is no browser or the address signs nobody in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "address", help="what `serve --token` or `make demo` prints: http://127.0.0.1:8642/enter?token=..."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/screenshots"), help="folder (default build/screenshots)"
    )
    options = parser.parse_args(arguments)
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        print(
            "page_screenshots: expected Chromium on the path, found none; as root: apt-get install chromium",
            file=sys.stderr,
        )
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        for view in VIEWS:
            if not take(browser, options.address, view, options.out):
                print(
                    f"page_screenshots: {options.address} signs nobody in; use the address of `serve --token`",
                    file=sys.stderr,
                )
                return 2
    print(f"{len(list(options.out.glob('*.png')))} pictures in {options.out}")
    return 0


def take(browser: Browser, address: str, view: str, out: Path) -> bool:
    """Return whether the address signed in; then every page that links lead to was taken."""
    width, height, scheme = VIEWS[view]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    tab = context.new_page()
    tab.goto(address)
    if urlsplit(tab.url).path != "/":
        return False
    taken: dict[str, int] = {}
    waiting, seen = [tab.url], set[str]()
    while waiting:
        url = waiting.pop(0)
        path = urlsplit(url).path
        if url in seen or taken.get(path, 0) >= FOLLOWED:
            continue
        seen.add(url)
        taken[path] = taken.get(path, 0) + 1
        answer = tab.goto(url)
        if answer is None or "html" not in answer.headers.get("content-type", ""):
            continue
        tab.wait_for_load_state("networkidle" if path != "/" else "load")
        tab.wait_for_timeout(500)
        name = f"{path.strip('/').replace('/', '-') or 'wall'}{taken[path] if taken[path] > 1 else ''}-{view}.png"
        tab.screenshot(path=out / name, full_page=path != "/")
        waiting += links(tab, url)
    context.close()
    return True


def links(tab: Page, url: str) -> list[str]:
    """Return the addresses of the page's own links, those of the content first."""
    found = tab.eval_on_selector_all("main a[href], nav a[href]", "all => all.map((one) => one.getAttribute('href'))")
    whole = [urljoin(url, href) for href in found if not href.startswith("#")]
    return [one for one in whole if urlsplit(one).netloc == urlsplit(url).netloc]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
