"""Where each process has its files: in a folder of its own under the state directory where the installer made one.

On a device capture and publish are two users (systemd/cageclock.tmpfiles.conf): each owns its folder, the group may
read it, and nobody else can delete or replace what lies there. The sticky bit on one shared folder would not do: Debian
sets `fs.protected_regular=2`, under which SQLite may not open another user's journal in such a folder. Where one user
runs everything (a trial, the demo) there are no such folders, and the state directory itself is both.
"""

from __future__ import annotations

from pathlib import Path

from edge.errors import OperatorError

CAPTURE, PUBLISH = "capture", "publish"
OUTBOX, DELIVERY = "outbox.db", "delivery.db"
CAPTURE_STATUS = "capture.json"
"""What capture says of itself in its folder, for publish and for its own next start."""


def capture_folder(state_dir: Path) -> Path:
    """Return the folder that only capture writes: outbox, thumbnails, archive, its status.

    Raises:
        OperatorError: there is an outbox both in it and beside it.
    """
    return _folder(state_dir, CAPTURE, OUTBOX)


def publish_folder(state_dir: Path) -> Path:
    """Return the folder that only publish writes: `delivery.db`.

    Raises:
        OperatorError: there is such a file both in it and beside it.
    """
    return _folder(state_dir, PUBLISH, DELIVERY)


def outbox_path(state_dir: Path) -> Path:
    """Return where capture's database is."""
    return capture_folder(state_dir) / OUTBOX


def delivery_path(state_dir: Path) -> Path:
    """Return where publish's database is."""
    return publish_folder(state_dir) / DELIVERY


def _folder(state_dir: Path, owner: str, database: str) -> Path:
    own = state_dir / owner
    if not own.is_dir():
        return state_dir
    if (state_dir / database).exists():
        raise OperatorError(
            f"state_dir: {state_dir / database} lies beside {own}, where it belongs; stop cageclock-capture and "
            "cageclock-publish, then run `cageclock install-units` as root, which moves it"
        )
    return own
