"""config.txt and cmdline.txt of a card: what CageClock needs, put in and taken out again without touching the rest."""

from __future__ import annotations

import re

from edge.errors import OperatorError

BEGIN = "# --- cageclock: written by `cageclock-station provision`; change the lab's settings, not this ---"
END = "# --- cageclock: end ---"
_OWN = re.compile(
    r"ds=nocloud\S*|systemd\.run(_\w+)?=\S*|systemd\.unit=kernel-command-line\.target|panic=\S*|"
    r"cgroup_enable=memory|cfg80211\.ieee80211_regdom=\S*"
)
_MOST_CMDLINE = 2048
"""Characters: the arm64 kernel's COMMAND_LINE_SIZE; the firmware adds some of its own."""


def with_block(config: str, lines: list[str], source: str) -> str:
    """Return config.txt with our lines as one block at its end, under `[all]`; a block of before is replaced.

    Raises:
        OperatorError: a block of ours has no end: somebody edited it.
    """
    kept, inside = [], False
    for line in config.splitlines():
        if line.strip() == BEGIN:
            inside = True
        elif line.strip() == END and inside:
            inside = False
        elif not inside:
            kept.append(line)
    if inside:
        raise OperatorError(f"{source}: config.txt has the beginning of CageClock's lines and no end; flash it anew")
    rest = "\n".join(kept).rstrip("\n")
    # A filter such as [cm4] lasts until the next one: without [all] the block would count for that board only.
    return f"{rest}\n\n" + "\n".join([BEGIN, "[all]", *lines, END]) + "\n"


def with_parameters(cmdline: str, parameters: list[str], source: str) -> str:
    """Return cmdline.txt, one line, with our parameters at its end; those of an earlier customisation are taken out.

    Imager pins cloud-init's instance there (`ds=nocloud;i=rpi-imager-...`), and that wins over meta-data: a card
    provisioned again would do nothing.

    Raises:
        OperatorError: more than one line, no root file system, or too long.
    """
    lines = [line for line in cmdline.splitlines() if line.strip()]
    if len(lines) != 1:
        raise OperatorError(
            f"{source}: cmdline.txt: expected one line, got {len(lines)}; the kernel reads the first only"
        )
    kept = [word for word in lines[0].split() if not _OWN.fullmatch(word)]
    if not any(word.startswith("root=") for word in kept):
        raise OperatorError(f"{source}: cmdline.txt: expected root=..., got {lines[0][:60]!r}; flash the card anew")
    line = " ".join([*kept, *parameters])
    if len(line) > _MOST_CMDLINE:
        raise OperatorError(f"{source}: cmdline.txt: expected at most {_MOST_CMDLINE} characters, got {len(line)}")
    return line + "\n"
