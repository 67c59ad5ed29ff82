"""`cageclock doctor`: every check in turn; 0 where all is well, 1 where something failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from edge.config.tree import Config
from edge.doctor.broker import check_broker
from edge.doctor.camera import check_camera
from edge.doctor.finding import Finding
from edge.doctor.machine import check_clock, check_disk, check_permissions, how_to_have_the_rights, user_name
from edge.doctor.model import check_model
from edge.timing.clock import SystemClock


def run(config: Config, *, as_json: bool = False) -> int:
    """Print one line for each check, or one JSON object, and return the exit code."""
    clock = SystemClock()
    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("permissions", lambda: check_permissions(config)),
        ("disk", lambda: check_disk(config)),
        ("clock", lambda: check_clock(clock)),
        ("camera", lambda: check_camera(config, clock)),
        ("model", lambda: check_model(config)),
        ("broker", lambda: check_broker(config)),
    )
    findings = []
    for name, check in checks:
        try:
            finding = check()
        except PermissionError as error:
            place = Path(error.filename or config.state_dir)
            text = f"{place} may not be looked at by user {user_name()}"
            finding = Finding(name, False, text, how_to_have_the_rights(place))
        except Exception as error:  # noqa: BLE001 - one check that breaks must not hide the others
            finding = Finding(
                name, False, f"{type(error).__name__}: {error}", "this is a fault of the check; report it"
            )
        findings.append(finding)
        if not as_json:
            print(finding.line(), flush=True)
    well = all(finding.ok for finding in findings)
    if as_json:
        print(json.dumps({"ok": well, "checks": [finding.plain() for finding in findings]}, indent=2))
    return 0 if well else 1
