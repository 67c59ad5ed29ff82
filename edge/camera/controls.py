"""From the settings' locked controls to libcamera's, and whether a frame really had them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from edge.config.tree import Controls

EXPOSURE_TOLERANCE = 0.03
"""Sensors round an exposure to whole lines and a gain to their own steps."""
GAIN_TOLERANCE = 0.05
_LINE_US = 60.0
_FRAME_SLACK_US = 20_000


def requested_controls(controls: Controls) -> dict[str, Any]:
    """Return what the settings ask for, under libcamera's names; what stays automatic is not named.

    A long exposure needs a frame duration that allows it, a locked lens needs manual focus.
    """
    wanted: dict[str, Any] = {}
    if controls.exposure_us is not None or controls.analogue_gain is not None:
        wanted["AeEnable"] = False
    if controls.exposure_us is not None:
        wanted["ExposureTime"] = controls.exposure_us
        duration_us = max(33_333, controls.exposure_us + _FRAME_SLACK_US)
        wanted["FrameDurationLimits"] = (duration_us, duration_us)
    if controls.analogue_gain is not None:
        wanted["AnalogueGain"] = controls.analogue_gain
    if controls.colour_gains is not None:
        wanted["AwbEnable"] = False
        wanted["ColourGains"] = controls.colour_gains
    if controls.lens_position is not None:
        wanted["AfMode"] = 0  # libcamera's AfModeManual
        wanted["LensPosition"] = controls.lens_position
    return wanted


def split_by_advertised(
    wanted: Mapping[str, Any], advertised: Collection[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what the camera can take and the names of what it cannot: setting those would raise."""
    possible = {name: value for name, value in wanted.items() if name in advertised}
    return possible, tuple(sorted(name for name in wanted if name not in advertised))


def is_settled(wanted: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    """Return whether a frame had the exposure and gain that were asked for.

    A camera that reports neither cannot be checked: not settled, if either was asked for.
    """
    if "ExposureTime" in wanted:
        got = metadata.get("ExposureTime")
        limit_us = max(_LINE_US, EXPOSURE_TOLERANCE * wanted["ExposureTime"])
        if got is None or abs(got - wanted["ExposureTime"]) > limit_us:
            return False
    if "AnalogueGain" in wanted:
        got = metadata.get("AnalogueGain")
        if got is None or abs(got - wanted["AnalogueGain"]) > GAIN_TOLERANCE * wanted["AnalogueGain"]:
            return False
    return True
