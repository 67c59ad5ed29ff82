"""What a person wants to know of a bundle, and of two: plain values, for a terminal, a page, or a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from edge.contract.bundle.bundle import Bundle
from edge.contract.bundle.envelope import open_envelope
from edge.contract.bundle.statement import Statement

Values = dict[str, Any]


def describe(bundle: Bundle, statement: Statement | None = None) -> Values:
    """Return the bundle as nested plain values, sections by name; sizes in bytes.

    statement: names the signing keys, and says whose signatures count.
    """
    manifest = bundle.manifest
    domain = manifest.domain
    return {
        "bundle": {
            "name": manifest.name,
            "model_version": manifest.model_version,
            "channel": manifest.channel,
            "release": manifest.release,
            "sha256": bundle.sha256,
            "created_at": manifest.created_at.isoformat(timespec="seconds"),
            "notice": manifest.notice,
            "target_group": manifest.target_group,
            "runtime_min": manifest.runtime_min,
            "preprocess_version": manifest.preprocess_version,
        },
        "signatures": _signatures(bundle, statement),
        "bytes": {part.name: part.bytes for part in manifest.files},
        "validity": msgspec.to_builtins(manifest.validity),
        "domain": {
            "dimensions": len(domain.mean),
            "threshold": domain.threshold,
            "outliers": bool(domain.foreign_weights),
        },
        "age": {
            "head": manifest.age.head,
            "bins": len(manifest.age.bin_centres_days),
            "embedding_size": manifest.age.embedding_size,
            "px_per_mm": manifest.age.px_per_mm,
        },
        "intervals": {
            f"{one.unit}, {one.coverage:.0%}": f"{len(one.bands)} bands from {one.animals} animals or cages"
            for one in manifest.intervals
        },
        "budget": msgspec.to_builtins(manifest.budget),
        "metrics": dict(manifest.metrics),
        "training": dict(manifest.training),
        "sha256_of_parts": {part.name: part.sha256 for part in manifest.files},
    }


def difference(before: Bundle, after: Bundle) -> Values:
    """Return what differs, section by section: for each name {before, after}, for numbers the change as well.

    A name that only one of the two has stands with None for the other. Sections without a difference are left out.
    """
    one, other = describe(before), describe(after)
    found = {section: _differing(one[section], other[section]) for section in one if section != "signatures"}
    return {section: differing for section, differing in found.items() if differing}


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> Values:
    found = {}
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(name), after.get(name)
        if old != new:
            found[name] = {"before": old, "after": new}
            if isinstance(old, int | float) and isinstance(new, int | float) and not isinstance(old, bool):
                found[name]["change"] = round(new - old, 6)
    return found


def _signatures(bundle: Bundle, statement: Statement | None) -> Values:
    """Return whose signatures the envelope names; without a statement nobody has verified them."""
    names = open_envelope(bundle.envelope).signatures
    if statement is None:
        return dict.fromkeys(names, "not verified: no trust statements were given")
    role = statement.channels.get(bundle.manifest.channel)
    holding = {key.id for key in role.signers(open_envelope(bundle.envelope))} if role is not None else set()
    known = statement.keys()
    found = {}
    for name in names:
        who = known[name].name if name in known else "unknown"
        state = "holds" if name in holding else "does not count for this channel"
        found[name] = f"{who}: revoked" if name in statement.revoked_keys else f"{who}: {state}"
    return found
