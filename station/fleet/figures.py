"""What the readings of each device say before and under a bundle: abstentions and domain scores."""

from __future__ import annotations

import sqlite3
import statistics

from station.fleet.rollout.state import Figures, Member, Phase, Rollout

MOST = 500
"""Readings on either side of the switch."""
_QUERY = """
SELECT r.epoch, r.seq, r.accepted, a.domain_score FROM (
    SELECT * FROM readings WHERE device = ? AND {} AND found_animals > 0 ORDER BY captured_s DESC LIMIT ?) r
LEFT JOIN animals a ON a.device = r.device AND a.epoch = r.epoch AND a.seq = r.seq"""
_BEFORE = _QUERY.format("model_sha256 != ? AND model_sha256 IS NOT NULL")
_AFTER = _QUERY.format("model_sha256 = ?")


def load_figures(log: sqlite3.Connection | None, rollout: Rollout, now_s: float) -> dict[str, tuple[Figures, Figures]]:
    """Return (before, after) of each device that has the bundle and is still watched. log: None where there is none."""
    if log is None:
        return {}
    limits = rollout.plan.thresholds
    watch_s = max(limits.watch_s, limits.soak_s)
    return {
        name: (_figures(log, _BEFORE, name, rollout.plan.sha256), _figures(log, _AFTER, name, rollout.plan.sha256))
        for name, one in rollout.members.items()
        if _is_watched(one, now_s, watch_s)
    }


def _is_watched(member: Member, now_s: float, watch_s: float) -> bool:
    if member.asked_s is None:
        return False
    return member.phase is Phase.ASKED or (
        member.phase is Phase.GOOD and member.good_s is not None and now_s - member.good_s <= watch_s
    )


def _figures(log: sqlite3.Connection, query: str, device: str, sha256: str) -> Figures:
    rows = log.execute(query, (device, sha256, MOST)).fetchall()
    accepted = {(row[0], row[1]): bool(row[2]) for row in rows}
    scores = [float(row[3]) for row in rows if isinstance(row[3], int | float)]
    median = statistics.median(scores) if scores else None
    return Figures(len(accepted), sum(1 for one in accepted.values() if not one), median)
