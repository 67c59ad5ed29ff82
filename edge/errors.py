"""Every error the programs raise on purpose, split by who must act.

    CageclockError                 exit code 1
    ├── OperatorError              2   a person at this machine: a setting, a path, a permission
    │   ├── ConfigError                a key of the configuration file
    │   └── UnreadablePicture          a stored picture, a video, or one of its frames
    ├── BundleError                3   whoever sent the model bundle
    │   └── BundleRevoked              it is revoked: not even a copy in memory runs on
    ├── DeviceError                4   the machine itself
    │   ├── CameraError
    │   │   ├── CameraTimeout          no frame within the bounded wait
    │   │   ├── CameraBusy             another process holds it
    │   │   ├── CameraMissing          none is there
    │   │   ├── FrameRefused           a frame came, but it is older than its trigger or identical to the last
    │   │   └── EndOfReplay            a replay has no more pictures; capture ends cleanly, with 0 or 7
    │   └── StorageError
    │       ├── DiskFull
    │       └── DatabaseDamaged
    ├── NetworkError               5   retried for ever with capped, jittered back-off
    └── MessageError               6   a payload that breaks the contract

Two exit codes are no error class: capture ends with 75 when only a reboot can help, and with 7 ends what was done but
for pictures that could not be read, each of which was named.
"""

from __future__ import annotations

EXIT_REBOOT = 75
EXIT_PASSED_OVER = 7


def plain(text: str, most: int = 500) -> str:
    """Return a text of at most `most` characters that any record can carry: half of a surrogate pair is spelled out.

    Names of files and words of libraries may hold one, and no UTF-8 does.
    """
    return text.encode("utf-8", "backslashreplace").decode()[:most]


def describe_error(error: BaseException, most: int = 500) -> str:
    """Return what an error says; of one that is none of ours its class as well."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - a foreign error's own text may fail
        said = "(no text)"
    return plain(said if isinstance(error, CageclockError) else f"{type(error).__name__}: {said}", most)


class CageclockError(Exception):
    """The root; `exit_code` is what a command line ends with."""

    exit_code = 1


class OperatorError(CageclockError):
    """A person at this machine must change something."""

    exit_code = 2


class ConfigError(OperatorError):
    """One key of a settings file is wrong: the file, the line, the key's path, what was expected, what came."""

    def __init__(self, path: str, expected: str, got: str, *, source: str = "", line: int | None = None) -> None:
        """Keep the parts for tests and tools; the text is one sentence for people."""
        self.path, self.expected, self.got, self.source, self.line = path, expected, got, source, line
        place = ", ".join([*([source] if source else []), *([f"line {line}"] if line is not None else [])])
        super().__init__(f"{place}{': ' if place else ''}{path}: expected {expected}, got {got}")


class UnreadablePicture(OperatorError):
    """A stored picture, a video or one frame of it cannot be read: one of many, it costs itself only."""


class BundleError(CageclockError):
    """A model bundle that must not be used, and why."""

    exit_code = 3


class BundleRevoked(BundleError):
    """A bundle whose digest the lab's trust statement revokes."""


class DeviceError(CageclockError):
    """The machine itself failed."""

    exit_code = 4


class CameraError(DeviceError):
    """The camera failed in a way that the recovery ladder handles."""


class CameraTimeout(CameraError):
    """No frame came within the bounded wait."""


class CameraBusy(CameraError):
    """Another process holds the camera."""


class CameraMissing(CameraError):
    """There is no such camera."""


class FrameRefused(CameraError):
    """A frame came that is no measurement: older than its trigger, or identical to the last."""


class EndOfReplay(CameraError):
    """A replay that does not loop has no more pictures."""


class StorageError(DeviceError):
    """Something durable could not be written or read."""


class DiskFull(StorageError):
    """No space is left, the reserve included."""


class DatabaseDamaged(StorageError):
    """A database failed its integrity check; its owner sets it aside."""


class NetworkError(CageclockError):
    """The broker cannot be reached or refused; retried for ever."""

    exit_code = 5


class MessageError(CageclockError):
    """A payload that breaks the contract: which part, what was expected, what came."""

    exit_code = 6
