"""A plan brought onto a card: what differs is written and read back, what is no longer meant is removed."""

from __future__ import annotations

from dataclasses import dataclass

from edge.errors import DeviceError, DiskFull
from station.provision.generation import CLOUD_INIT_FILES
from station.provision.partition import Partition
from station.provision.plan import FOLDER, Plan

_SPARE = 8 * 2**20
"""Bytes that stay free on the partition: for first-boot.txt, and for updates of the kernel."""
_ROUND = 65_536
"""A FAT file takes whole clusters."""


@dataclass(frozen=True, slots=True)
class Change:
    """One file: `written`, `replaced`, `unchanged` or `removed`."""

    path: str
    what: str


def apply(plan: Plan, card: Partition, *, dry_run: bool) -> list[Change]:
    """Return what was changed; with `dry_run` what would be.

    A card that was pulled out in the middle starts nothing: the files that start the first boot are written last.

    Raises:
        DiskFull: the card has no room for it; nothing was written.
        DeviceError: the card gives back something else than was written.
    """
    before = {path: card.read(path) for path in plan.files}
    changed = {path: plan.files[path] for path in plan.files if before[path] != plan.files[path]}
    # The report of a boot stays as long as nothing is new; what that boot took off the card is not put there again.
    if _has_booted(before["first-boot.txt"], plan) and set(changed) <= {
        "first-boot.txt",
        *plan.secrets,
        *plan.starters,
    }:
        changed = {}
    stale = _stale(plan, card)
    _check_room(changed, before, stale, card)
    changes = [Change(path, _word(path, changed, before)) for path in plan.files]
    changes += [Change(path, "removed") for path in stale]
    if dry_run or not (changed or stale):
        return changes
    for path in stale:
        card.remove(path)
    if any(path in changed for path in CLOUD_INIT_FILES):
        _keep_foreign(card)
    for path, content in changed.items():
        card.write(path, content)
    card.flush()
    wrong = [path for path, content in changed.items() if card.read(path) != content]
    if wrong:
        raise DeviceError(
            f"{card.name}: {len(wrong)} files are not what was written, first {wrong[0]}: the card, or its reader, is "
            "failing; take another one"
        )
    return changes


def _has_booted(report: bytes | None, plan: Plan) -> bool:
    return report is not None and b"NOT STARTED" not in report and plan.instance.encode() in report


def _word(path: str, changed: dict[str, bytes], before: dict[str, bytes | None]) -> str:
    if path not in changed:
        return "unchanged"
    return "written" if before[path] is None else "replaced"


def _stale(plan: Plan, card: Partition) -> list[str]:
    """Return files of an earlier provisioning that this one does not have: wheels of another version, keys."""
    known = {path.lower() for path in plan.files}
    ours = [path for path in card.names(FOLDER) if not path.startswith(f"{FOLDER}/before/")]
    return [path for path in ours if path.lower() not in known]


def _check_room(changed: dict[str, bytes], before: dict[str, bytes | None], stale: list[str], card: Partition) -> None:
    # The new file is there before the old one goes, one at a time; what is stale goes first.
    freed = sum(len(card.read(path) or b"") for path in stale)
    needed = sum(len(content) - len(before[path] or b"") + _ROUND for path, content in changed.items())
    needed += max((len(content) for content in changed.values()), default=0) + _SPARE
    free = card.free_bytes() + freed
    if needed > free:
        raise DiskFull(
            f"{card.name}: needs {needed / 2**20:.0f} MB on the boot partition, {free / 2**20:.0f} MB are free; "
            "nothing was written. Flash the card anew, or take wheels for one version of Python only"
        )


def _keep_foreign(card: Partition) -> None:
    """Keep what somebody else put into cloud-init's files, once, where a person finds it again."""
    for name in CLOUD_INIT_FILES:
        content, place = card.read(name), f"{FOLDER}/before/{name}"
        if content is not None and b"cageclock-station provision" not in content and card.read(place) is None:
            card.write(place, content)
