"""What must hold before capture begins: each that does not is one error that says what to correct."""

from __future__ import annotations

import os
from pathlib import Path

from edge.camera.pictures import open_pictures
from edge.capture.take_frames import worst_slot_s
from edge.config.state_folder import capture_folder
from edge.config.tree import Config
from edge.contract.service.systemd_notify import watchdog_limit_s
from edge.errors import CameraMissing, OperatorError


def check_watchdog(config: Config) -> None:
    """Compare the unit's WatchdogSec, if there is one, with what a slot may take.

    Raises:
        OperatorError: a slow camera alone would get the process killed.
    """
    limit_s = watchdog_limit_s()
    worst_s = worst_slot_s(config)
    if limit_s is not None and worst_s >= limit_s:
        raise OperatorError(
            f"camera timeouts and burst_frames let one slot take {worst_s:.0f} s, but the unit's WatchdogSec is "
            f"{limit_s:.0f} s; lower them or raise WatchdogSec"
        )


def check_replay(config: Config) -> None:
    """Look for the stored pictures of a replay: a path is not a camera, that may come back.

    Raises:
        OperatorError: they cannot be found.
    """
    if config.camera.backend != "replay" or config.camera.replay is None:
        return
    try:
        open_pictures(Path(config.camera.replay.path), config.camera.replay.frames_per_s)
    except CameraMissing as error:
        raise OperatorError(f"camera.replay.path: {error}") from error


def make_state_dir(config: Config) -> Path:
    """Return the state directory, made where it is missing.

    Raises:
        OperatorError: it cannot be made, or its rights do not let capture write.
    """
    path = Path(config.state_dir)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(
            f"state_dir: {path} cannot be made: {error.strerror}; correct the path or its rights"
        ) from error
    if not os.access(path, os.X_OK):
        raise OperatorError(f"state_dir: {path} cannot be written by this user; correct its owner or its rights")
    own = capture_folder(path)
    if not os.access(own, os.W_OK | os.X_OK):
        raise OperatorError(f"state_dir: {own} cannot be written by this user; correct its owner or its rights")
    return path
