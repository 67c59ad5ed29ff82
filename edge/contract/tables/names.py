"""Names that likely mean one animal or cage: 7 and 007, M1 and m1, look-alike letters, a spreadsheet's 7.0."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Cyrillic and Greek letters that look like Latin ones, after casefold.
_LOOK_ALIKES = str.maketrans(
    {**dict(zip("асеіјкмнорԛѕтухвԝ", "aceijkmhopqstyxbw", strict=True)),
     **dict(zip("αβεζηικμνορτυχ", "abezhikmnoptyx", strict=True))}
)  # fmt: skip
_BROKEN = re.compile(r"[+-]?\d([.,]\d+)?[eE]\+\d+")


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts names as people do: m2 before m10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.findall(r"\d{1,18}|\D+", name)]


def key_of(name: str) -> str:
    """Return what two names have in common that likely mean the same animal."""
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(one for one in text if unicodedata.category(one) not in ("Cf", "Cc"))
    text = text.translate(_LOOK_ALIKES)
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", text)
    text = re.sub(r"(?<=\d)[.,]0+$", "", text) if re.fullmatch(r"\d+[.,]0+", text) else text
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"(?<=[^\W\d])[-_. ](?=\d)|(?<=\d)[-_. ](?=[^\W\d])", "", text)
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def near_equal(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return groups of different names that likely mean the same, each sorted, the groups in natural order."""
    groups: dict[str, set[str]] = {}
    for name in names:
        if name:
            groups.setdefault(key_of(name), set()).add(name)
    found = [tuple(sorted(group)) for group in groups.values() if len(group) > 1]
    return sorted(found, key=lambda group: natural(group[0]))


def describe_near(names: Iterable[str], what: str = "animal") -> list[str]:
    """Return warnings for people: names that likely mean one animal (or cage), names that a spreadsheet broke."""
    names = set(names)
    said = []
    groups = near_equal(names)
    if groups:
        shown = "; ".join(" and ".join(map(_shown, group)) for group in groups[:3])
        more = f"; and {len(groups) - 3} more" if len(groups) > 3 else ""
        one = f"likely mean one {what}" if len(groups) == 1 else f"likely mean one {what} each"
        said.append(f"names that differ little {one}: {shown}{more}; write each {what}'s name in one way")
    broken = sorted(name for name in names if _BROKEN.fullmatch(name))
    if broken:
        said.append(
            f"'{broken[0]}'{f' and {len(broken) - 1} more' if len(broken) > 1 else ''}: a spreadsheet made a number of "
            f"this {what}'s name, and different names may have become one; format the column as text"
        )
    return said


def _shown(name: str) -> str:
    """Return the name in quotes; letters that are not Latin are named, as they look like Latin ones."""
    if name.isascii():
        return f"'{name}'"
    strange = next((one for one in name if not one.isascii()), "")
    return f"'{name}' (with {unicodedata.name(strange, 'a sign without a name')})"
