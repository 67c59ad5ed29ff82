"""Why an installation was refused, as a code of `edge.contract.reported.REASONS`, and whether that is for good."""

from __future__ import annotations

from edge.bundle.history import Entry

_CODES = (
    ("signature:", "signature"),
    ("threshold:", "threshold"),
    ("revoked key:", "revoked_key"),
    ("revoked bundle:", "revoked_bundle"),
    ("trust statement", "trust_statement"),
    ("channel:", "channel"),
    ("release:", "release"),
    ("expired:", "expired"),
    ("frozen:", "frozen"),
    ("behind:", "behind"),
    ("target_group:", "target_group"),
    ("runtime_min:", "runtime"),
    ("canary:", "canary"),
    ("budget:", "budget"),
    ("golden", "canary"),
    ("nothing before:", "nothing_before"),
    ("sha256", "refused_before"),
    ("it failed its trial", "trial"),
)
PASSING = frozenset({"expired", "frozen", "behind", "trust_statement"})
"""No fault of the bundle: newer statements, or a fresh word, let the same bundle in."""


def code_of(reason: str) -> str:
    """Return the code of a refusal's words."""
    return next((code for begin, code in _CODES if reason.startswith(begin)), "container" if reason else "other")


def is_lasting(entry: Entry) -> bool:
    """Return whether an entry refuses its bundle for good: it is not fetched again."""
    return entry.result == "refused" and code_of(entry.reason) not in PASSING


def wish_stem(digest: str) -> str:
    """Return how the inbox file of a wish begins: the digest is found again in the history of a refused file, too."""
    return f"wish-{digest[:16]}"


def refused_for_good(entries: tuple[Entry, ...], digest: str) -> Entry | None:
    """Return the newest entry that refuses a digest for good, None where none does."""
    stem = wish_stem(digest)
    for entry in reversed(entries):
        if entry.sha256 == digest or entry.file.startswith(stem):
            if is_lasting(entry):
                return entry
            if entry.result in ("installed", "shadow"):
                return None
    return None
