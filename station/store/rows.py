"""Rows of the query tables for one record. Pure."""

from __future__ import annotations

import json
from typing import Any

from edge.contract.identity import Head
from edge.contract.reading import Animal, Reading
from edge.contract.record import ClockCorrection, Event

Row = tuple[Any, ...]


def reading_row(device: str, head: Head, reading: Reading) -> Row:
    """Return the row of `readings`, in the table's order."""
    camera, model, quality = reading.camera, reading.model, reading.quality
    return (
        device,
        head.epoch,
        head.seq,
        reading.cage_id,
        reading.captured_at.timestamp(),
        reading.boot_id,
        reading.monotonic_s,
        int(reading.clock_synced),
        reading.light.value,
        reading.zeitgeber_h,
        reading.trigger.value,
        reading.outcome.value,
        reading.detail,
        int(reading.accepted),
        reading.age_days,
        reading.expected_animals,
        len(reading.animals),
        reading.strain,
        reading.frames,
        reading.px_per_mm,
        " ".join(quality.flags) if quality else "",
        camera.exposure_us if camera else None,
        camera.analogue_gain if camera else None,
        model.name if model else None,
        model.model_version if model else None,
        model.sha256 if model else None,
        model.notice if model else None,
        reading.thumbnail.sha256 if reading.thumbnail else None,
        reading.config_sha256,
    )


def animal_rows(device: str, head: Head, reading: Reading) -> list[Row]:
    """Return the rows of `animals`, numbered from 1 in the reading's order."""
    return [_animal_row(device, head, number, animal) for number, animal in enumerate(reading.animals, start=1)]


def _animal_row(device: str, head: Head, number: int, animal: Animal) -> Row:
    estimate = animal.estimate
    return (
        device,
        head.epoch,
        head.seq,
        number,
        animal.subject,
        animal.identity_method,
        animal.identity_confidence,
        int(animal.accepted),
        " ".join(reason.value for reason in animal.reject_reasons),
        animal.age_days,
        estimate.age_days if estimate else None,
        estimate.sd_days if estimate else None,
        estimate.interval_low_days if estimate else None,
        estimate.interval_high_days if estimate else None,
        estimate.coverage if estimate else None,
        estimate.domain_score if estimate else None,
        animal.centre_likelihood,
    )


def event_row(device: str, head: Head, event: Event) -> Row:
    """Return the row of `events`."""
    detail = json.dumps(event.detail, separators=(",", ":"), ensure_ascii=False)
    return (
        device,
        head.epoch,
        head.seq,
        event.recorded_at.timestamp(),
        event.boot_id,
        event.monotonic_s,
        int(event.clock_synced),
        event.code,
        event.text,
        detail,
    )


def correction_row(device: str, head: Head, correction: ClockCorrection) -> Row:
    """Return the row of `clock_corrections`."""
    return (
        device,
        head.epoch,
        head.seq,
        correction.of_boot_id,
        correction.offset_s,
        correction.epoch_offset_s,
        correction.uncertainty_s,
    )
