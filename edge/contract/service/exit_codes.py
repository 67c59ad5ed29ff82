"""The exit codes of the three programs, as each command's help lists them."""

from __future__ import annotations

from collections.abc import Mapping

HEADING = "exit codes:"

ALWAYS = {
    0: "done",
    2: "an option, a setting, a path or a permission is wrong",
    130: "ended by Ctrl-C",
}
"""What every command can end with."""
BUNDLE = {3: "the model bundle must not be used"}
MACHINE = {4: "the machine failed: disk, memory, database or camera"}
NETWORK = {5: "the network failed"}
PAYLOAD = {6: "a message or a file breaks the contract"}
PASSED_OVER = {7: "done, but for pictures, frames or videos that could not be read; each is named"}
PROCESS = {0: "ended as it was asked to: by SIGTERM, by Ctrl-C or after the captures that were ordered"}
REBOOT = {75: "only a reboot can help the camera"}


def describe_exit_codes(*codes: Mapping[int, str]) -> str:
    """Return the lines of a command's help: what each can end with, and `codes`; of one code the last text counts."""
    texts = dict(ALWAYS)
    for more in codes:
        texts.update(more)
    return "\n".join([HEADING, *(f"  {code:<3} {text}" for code, text in sorted(texts.items()))])
