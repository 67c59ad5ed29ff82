"""Strain names in MGI nomenclature, and what people write instead.

Names and rules: Guidelines for Nomenclature of Mouse and Rat Strains (MGI); substrains differ in their genes and in how
they age, so "B6" names none.
"""

from __future__ import annotations

import difflib
import re

KNOWN = (
    *("C57BL/6J", "C57BL/6NTac", "C57BL/6NJ", "C57BL/6NCrl", "C57BL/6JRj", "C57BL/10J", "C57BL/6JOlaHsd"),
    *("BALB/cJ", "BALB/cByJ", "BALB/cAnNCrl", "DBA/2J", "DBA/1J", "129S1/SvImJ", "129S6/SvEvTac", "129X1/SvJ"),
    *("A/J", "AKR/J", "C3H/HeJ", "CBA/J", "FVB/NJ", "FVB/NTac", "NOD/ShiLtJ", "NZO/HlLtJ", "SJL/J", "SAMP8/TaHsd"),
    *("CAST/EiJ", "PWK/PhJ", "WSB/EiJ", "NZB/BlNJ", "SWR/J", "KK/HlJ", "LP/J", "MRL/MpJ", "BTBR T+ Itpr3tf/J"),
    *("B6129SF1/J", "B6D2F1/J", "CB6F1/J", "UM-HET3", "J:DO", "Crl:CD1(ICR)", "NOD.Cg-Prkdcscid Il2rgtm1Wjl/SzJ"),
)
_LOOSE = {
    "b6": "C57BL/6J, C57BL/6NTac and C57BL/6JRj differ: write which one",
    "bl6": "C57BL/6J, C57BL/6NTac and C57BL/6JRj differ: write which one",
    "c57": "C57BL/6J, C57BL/6NTac and C57BL/6JRj differ: write which one",
    "c57bl6": "C57BL/6J, C57BL/6NTac and C57BL/6JRj differ: write which one",
    "black6": "C57BL/6J, C57BL/6NTac and C57BL/6JRj differ: write which one",
    "b6n": "C57BL/6NTac, C57BL/6NJ and C57BL/6NCrl differ: write which one",
    "c57bl6n": "C57BL/6NTac, C57BL/6NJ and C57BL/6NCrl differ: write which one",
    "balbc": "BALB/cJ, BALB/cByJ and BALB/cAnNCrl differ: write which one",
    "129": "129S1/SvImJ, 129S6/SvEvTac and 129X1/SvJ differ: write which one",
    "dba": "DBA/2J and DBA/1J differ: write which one",
    "fvb": "FVB/NJ and FVB/NTac differ: write which one",
}
_DERIVED = re.compile(r"^[A-Z0-9][\w/:.()]*[-.;].*(tm\d|em\d|Tg\(|<|/)")


def judge_strain(name: str) -> tuple[str, str] | None:
    """Return None for an MGI name, else ("warning" or "error", the sentence with a suggestion)."""
    if name in KNOWN or _DERIVED.match(name):
        return None
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain in _LOOSE:
        return "warning", f"'{name}' names no substrain; {_LOOSE[plain]}"
    by_plain = {re.sub(r"[^a-z0-9]", "", known.lower()): known for known in KNOWN}
    near = difflib.get_close_matches(plain, list(by_plain), n=1, cutoff=0.6)
    if near:
        return "error", f"expected a strain in MGI nomenclature, got '{name}'; did you mean '{by_plain[near[0]]}'?"
    return "error", (
        f"expected a strain in MGI nomenclature (for example C57BL/6J), got '{name}'; look it up at "
        "www.informatics.jax.org"
    )
