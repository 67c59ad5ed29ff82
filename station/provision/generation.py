"""Which generation of Raspberry Pi OS a card holds, read from the card's own files; one that is not known is refused.

Raspberry Pi Imager customises a card of a kind that it does not know in the wrong way, and nothing happens at boot
(rpi-imager #1386, #1444, #1519). What is looked at follows pi-gen's files (stage1/00-boot-files, stage2/04-cloud-init,
export-image); there was no image of Raspberry Pi OS to try it with.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from datetime import date

from edge.errors import OperatorError
from station.provision.partition import Partition

CLOUD_INIT_FILES = ("user-data", "meta-data", "network-config")
FIRST_BOOKWORM = date(2023, 10, 10)
FIRST_TRIXIE = date(2025, 10, 1)
"""The only Trixie without cloud-init; those after it have it."""
_FIRST_BOOT = "init=/usr/lib/raspberrypi-sys-mods/firstboot"


class Way(enum.Enum):
    """How the card is customised at its first boot."""

    CLOUD_INIT = "cloud-init"
    FIRST_RUN = "firstrun.sh"


@dataclass(frozen=True, slots=True)
class Generation:
    """way: who customises. pythons: the versions of Python that such an image may have. built: the image's date.

    notes: sentences on what should not stay so.
    """

    way: Way
    name: str
    pythons: tuple[str, ...]
    built: date
    notes: tuple[str, ...] = ()


def find_generation(card: Partition) -> Generation:
    """Return the card's generation.

    Raises:
        OperatorError: no boot partition of Raspberry Pi OS (64 bit, Bookworm or later), or one whose way of
            customisation is not known.
    """
    names = {name.lower() for name in card.names()}
    missing = [name for name in ("config.txt", "cmdline.txt", "issue.txt") if name not in names]
    expected = "expected the boot partition of Raspberry Pi OS Lite (64 bit, Bookworm or Trixie)"
    if missing:
        raise OperatorError(f"{card.name}: {expected}, got one without {', '.join(missing)}; flash the card anew")
    issue = (card.read("issue.txt") or b"").decode("utf-8", "replace")
    dated = re.search(r"Raspberry Pi reference (\d{4}-\d\d-\d\d)", issue)
    if dated is None:
        first = (issue.strip().splitlines() or ["nothing"])[0][:60]
        raise OperatorError(f"{card.name}: {expected}, got an issue.txt that says {first!r}")
    built = date.fromisoformat(dated.group(1))
    if built < FIRST_BOOKWORM:
        raise OperatorError(f"{card.name}: {expected}, got an image of {built}: older than Bookworm (Python 3.11)")
    if not names & {"kernel8.img", "kernel_2712.img"}:
        raise OperatorError(f"{card.name}: {expected}, got no 64-bit kernel (kernel8.img)")
    notes = () if "stage2" in issue else ("not a Lite image (issue.txt): the desktop takes memory from the model",)
    there = [name for name in CLOUD_INIT_FILES if name in names]
    if len(there) == len(CLOUD_INIT_FILES):
        return Generation(Way.CLOUD_INIT, "Trixie with cloud-init", ("3.13",), built, notes)
    if there:
        gone = ", ".join(name for name in CLOUD_INIT_FILES if name not in there)
        raise OperatorError(
            f"{card.name}: expected {', '.join(CLOUD_INIT_FILES)}, or none of them, got no {gone}; flash it anew"
        )
    return _without_cloud_init(card, built, notes)


def _without_cloud_init(card: Partition, built: date, notes: tuple[str, ...]) -> Generation:
    fresh_bookworm = _FIRST_BOOT in (card.read("cmdline.txt") or b"").decode("utf-8", "replace").split()
    if built < FIRST_TRIXIE:
        return Generation(Way.FIRST_RUN, "Bookworm", ("3.11",), built, notes)
    if built == FIRST_TRIXIE:
        # The legacy Bookworm has images of the same days; the boot partition does not say which of them this is.
        return Generation(Way.FIRST_RUN, "the first Trixie, or Bookworm of that day", ("3.11", "3.13"), built, notes)
    if fresh_bookworm:
        return Generation(Way.FIRST_RUN, "Bookworm (legacy)", ("3.11",), built, notes)
    raise OperatorError(
        f"{card.name}: an image of {built} with neither cloud-init's files nor Bookworm's first boot in cmdline.txt: "
        "how it is customised is not known, and a card that is customised in the wrong way does nothing at boot; "
        "flash Raspberry Pi OS Lite (64 bit) anew, without Imager's customisation"
    )
