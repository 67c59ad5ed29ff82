"""The code with which a capture ends that nothing forced to end."""

from __future__ import annotations

from edge.capture.process import CaptureProcess
from edge.contract.reading import Outcome
from edge.errors import EXIT_PASSED_OVER, DeviceError


def final_code(process: CaptureProcess, *, is_bounded: bool, is_without_reading: bool) -> int:
    """Return 0, or for a bounded run the code of what kept its last slot from being a measurement.

    is_bounded: it was asked for a number of slots. is_without_reading: the last slot has no reading.
    """
    if is_without_reading:
        return DeviceError.exit_code
    if is_bounded and process.last_outcome is Outcome.CAMERA_FAULT:
        return DeviceError.exit_code
    if is_bounded and process.last_outcome is Outcome.MODEL_FAULT:
        return process.model_fault_code()
    return code_of_unreadable(process) if is_bounded else 0


def code_of_unreadable(process: CaptureProcess) -> int:
    """Return the code of a replay: each picture that could not be read has its reading and was named."""
    return EXIT_PASSED_OVER if process.unreadable else 0
