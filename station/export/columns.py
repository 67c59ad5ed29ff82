"""Every column of the export: its name, type, unit, meaning, and where it comes from. One table for data and

dictionary, so that they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge.contract.times import FIRST_S, LAST_S
from station.store.sound import AHEAD, AHEAD_S, SOUND_ANIMAL, SOUND_PLACE

Type = Literal["text", "integer", "number", "boolean", "time", "date"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. source: the SQL expression that yields it, a time as Unix seconds.

    whose: the field of `station.export.whose.Named` that it shows; what it says of the device's name stands in source.
    """

    name: str
    type: Type
    unit: str
    meaning: str
    source: str
    whose: str = ""

    @property
    def text_source(self) -> str:
        """The SQL expression of what stands in a CSV file."""
        return f"strftime('%Y-%m-%dT%H:%M:%fZ', {self.source}, 'unixepoch')" if self.type == "time" else self.source


@dataclass(frozen=True, slots=True)
class File:
    """One CSV file: one observation a row.

    device: the column that names the device, by which the file is read part by part; "" where it is read in one go.
    at_s, clock, cage, accepted: what the filters compare, "" where the file has no such thing.
    sound: which rows a reader can use.
    """

    name: str
    row: str
    tables: str
    order: str
    columns: tuple[Column, ...]
    device: str = ""
    at_s: str = ""
    clock: str = ""
    cage: str = ""
    accepted: str = ""
    sound: str = "true"


AT_S = "CASE WHEN {0}.clock_synced = 1 OR o.offset_s IS NULL THEN {0}.{1} ELSE {0}.monotonic_s + o.offset_s END"
"""When, clock corrections applied. `o` is the row of the temporary table `offsets`, see `station.export.timed`."""

_READING_AT = AT_S.format("r", "captured_s")
_EVENT_AT = AT_S.format("e", "recorded_s")
_SAME = "{0}.device = {1}.device AND {0}.epoch = {1}.epoch AND {0}.seq = {1}.seq"
_IS_AHEAD = (
    f"{{1}} - {AHEAD_S} > (SELECT k.received_at FROM main.records k WHERE {_SAME.format('k', '{0}')}"
    " AND typeof(k.received_at) IN ('real', 'integer'))"
)
_CORRECTED = f"CASE WHEN o.offset_s IS NULL THEN 'unsynchronised' WHEN {_IS_AHEAD} THEN '{AHEAD}' ELSE 'corrected' END"
READING_BASIS = (
    f"CASE WHEN r.clock_synced = 1 THEN CASE WHEN EXISTS (SELECT 1 FROM dated_ahead d WHERE {_SAME.format('d', 'r')})"
    f" THEN '{AHEAD}' ELSE 'synchronised' END ELSE {_CORRECTED.format('r', _READING_AT)} END"
)
_EVENT_BASIS = (
    f"CASE WHEN e.clock_synced = 1 THEN CASE WHEN {_IS_AHEAD.format('e', _EVENT_AT)}"
    f" THEN '{AHEAD}' ELSE 'synchronised' END ELSE {_CORRECTED.format('e', _EVENT_AT)} END"
)

_TIMED = (
    "LEFT JOIN temp.offsets o ON {0}.clock_synced IS NOT 1 AND o.device = {0}.device AND o.boot_id = {0}.boot_id"
    " LEFT JOIN epochs s ON s.device = {0}.device AND s.epoch = {0}.epoch"
)
_ORDER = (
    "{0}.clock_synced IS 1 OR o.offset_s IS NOT NULL,"
    " CASE WHEN {0}.clock_synced IS 1 OR o.offset_s IS NOT NULL THEN {1} ELSE 0 END, coalesce(s.starts, 0)"
)
"""By time; boots that never got the time have no order but that of the starts."""

_BASIS_MEANING = (
    "synchronised, corrected (by a later clock record), unsynchronised (never known), ahead (of its arrival)"
)


def _sound(at_s: str, more: str) -> str:
    """Return which of a device's rows a reader can use, as the views of `station.store.readable_rows` have it."""
    return f"({at_s}) BETWEEN {FIRST_S} AND {LAST_S} AND {more}"


def _key(table: str) -> tuple[Column, ...]:
    return (
        Column("device", "text", "", "device that made the record", f"{table}.device"),
        Column("epoch", "text", "", "the start of the process that made it, 128 random bits", f"{table}.epoch"),
        Column("seq", "integer", "", "number of the record within the epoch", f"{table}.seq"),
    )


READINGS = File(
    "readings.csv",
    "one due capture of one cage, whatever its outcome",
    f"main.readings r {_TIMED.format('r')} LEFT JOIN thumbnails t ON {_SAME.format('t', 'r')}",
    f"{_ORDER.format('r', _READING_AT)}, r.seq",
    (
        *_key("r"),
        Column("cage", "text", "", "cage as the device's settings name it", "r.cage"),
        Column("captured_at", "time", "UTC", "time of the trigger, clock corrections applied", _READING_AT),
        Column("labelled_at", "time", "UTC", "the same as the device's clock had it", "r.captured_s"),
        Column(
            "time_basis",
            "text",
            "",
            _BASIS_MEANING,
            READING_BASIS,
        ),
        Column("light", "text", "", "phase of the animals' day: light, dark, unknown", "r.light"),
        Column("zeitgeber_h", "number", "h", "hours since lights-on, 0-24", "r.zeitgeber_h"),
        Column("trigger", "text", "", "schedule or command", "r.trigger"),
        Column("outcome", "text", "", "ok, or why no age is given for the cage", "r.outcome"),
        Column("detail", "text", "", "the outcome in words", "r.detail"),
        Column("accepted", "boolean", "", "1 where at least one animal's estimate was accepted", "r.accepted"),
        Column("age_days", "number", "d", "accepted age of a single animal", "r.age_days"),
        Column("expected_animals", "integer", "", "animals in the cage by the device's settings", "r.expected_animals"),
        Column("found_animals", "integer", "", "animals found in the picture", "r.found_animals"),
        Column("strain", "text", "", "strain by the device's settings", "r.strain"),
        Column("frames", "integer", "", "frames of the burst that went into this measurement", "r.frames"),
        Column("px_per_mm", "number", "px/mm", "calibrated scale of the picture", "r.px_per_mm"),
        Column("quality_flags", "text", "", "flags of the quality gate, separated by blanks", "r.quality_flags"),
        Column("exposure_us", "number", "us", "exposure that the frame really had", "r.exposure_us"),
        Column("analogue_gain", "number", "", "gain that the frame really had", "r.analogue_gain"),
        Column("model_name", "text", "", "name of the model bundle", "r.model_name"),
        Column("model_version", "text", "", "the bundle's version for people", "r.model_version"),
        Column(
            "model_sha256", "text", "", "digest of the bundle; another digest is another instrument", "r.model_sha256"
        ),
        Column("model_notice", "text", "", "what the model is not", "r.model_notice"),
        Column("config_sha256", "text", "", "digest of the device's settings", "r.config_sha256"),
        Column(
            "thumbnail",
            "text",
            "",
            "file of the thumbnail, relative to the station's folder; empty where retention removed it",
            "CASE WHEN t.path NOT LIKE 'removed:%' THEN t.path END",
        ),
    ),
    device="r.device",
    at_s=_READING_AT,
    clock="r.clock_synced",
    cage="r.cage",
    accepted="r.accepted",
    sound=_sound(_READING_AT, SOUND_PLACE),
)

ANIMALS = File(
    "animals.csv",
    "one animal found in one reading; join with readings.csv on device, epoch, seq",
    f"main.readings r CROSS JOIN (SELECT * FROM main.animals WHERE {SOUND_ANIMAL}) a ON {_SAME.format('a', 'r')} "
    + _TIMED.format("r"),
    f"{_ORDER.format('r', _READING_AT)}, r.seq, a.number",
    (
        *_key("a"),
        Column("animal", "integer", "", "number of the animal within the reading, from 1; no identity", "a.number"),
        Column("captured_at", "time", "UTC", "time of the trigger, clock corrections applied", _READING_AT),
        Column("cage", "text", "", "cage as the device's settings name it", "r.cage"),
        Column("light", "text", "", "phase of the animals' day: light, dark, unknown", "r.light"),
        Column(
            "time_basis",
            "text",
            "",
            _BASIS_MEANING,
            READING_BASIS,
        ),
        Column(
            "subject",
            "text",
            "",
            "the animal's name, by the device or by the lab's table, within the animal's dates; empty where it is"
            " nobody's or its cage's",
            "a.subject",
            whose="subject",
        ),
        Column(
            "subject_reason",
            "text",
            "",
            "why subject is empty. Nobody's: before_birth, before_arrival, after_departure, after_death,"
            " no_animal_then, clock_never_set, clock_ahead. The cage's: not_told_apart, not_in_table, several_animals,"
            " table_names_another",
            "NULL",
            whose="reason",
        ),
        Column(
            "identity_method",
            "text",
            "",
            "what named it: single_housed (the device's settings), lab_table, ear_tag, ...; none",
            "a.identity_method",
            whose="method",
        ),
        Column(
            "identity_confidence",
            "number",
            "0-1",
            "confidence of the device's method; empty where the device did not name it so",
            "a.identity_confidence",
            whose="confidence",
        ),
        Column("accepted", "boolean", "", "1 where the estimate is accepted as an age", "a.accepted"),
        Column("reject_reasons", "text", "", "why not, separated by blanks", "a.reject_reasons"),
        Column("age_days", "number", "d", "accepted age, raw; empty where not accepted", "a.age_days"),
        Column("estimate_days", "number", "d", "what the model said, accepted or not", "a.estimate_days"),
        Column("sd_days", "number", "d", "standard deviation of the age distribution", "a.sd_days"),
        Column(
            "interval_low_days",
            "number",
            "d",
            "lower end of the single reading's interval, never below 0",
            "max(0.0, a.interval_low_days)",
        ),
        Column(
            "interval_high_days",
            "number",
            "d",
            "upper end of the single reading's interval, never below 0",
            "max(0.0, a.interval_high_days)",
        ),
        Column("coverage", "number", "0-1", "share of animals for which the interval is calibrated", "a.coverage"),
        Column(
            "domain_score", "number", "", "distance from the training data; above 1 is out of domain", "a.domain_score"
        ),
        Column("centre_likelihood", "number", "0-1", "the locator's likelihood of the animal", "a.centre_likelihood"),
        Column(
            "model_sha256", "text", "", "digest of the bundle; another digest is another instrument", "r.model_sha256"
        ),
    ),
    device="r.device",
    at_s=_READING_AT,
    clock="r.clock_synced",
    cage="r.cage",
    accepted="a.accepted",
    sound=_sound(_READING_AT, SOUND_PLACE),
)

EVENTS = File(
    "events.csv",
    "something that a reader of the curves must know",
    f"main.events e {_TIMED.format('e')}",
    f"{_ORDER.format('e', _EVENT_AT)}, e.seq",
    (
        *_key("e"),
        Column("recorded_at", "time", "UTC", "when, clock corrections applied", _EVENT_AT),
        Column(
            "time_basis",
            "text",
            "",
            _BASIS_MEANING,
            _EVENT_BASIS,
        ),
        Column("code", "text", "", "stable code of the event", "e.code"),
        Column("text", "text", "", "the event in words", "e.text"),
        Column("detail", "text", "JSON", "particulars", "e.detail"),
    ),
    device="e.device",
    at_s=_EVENT_AT,
    clock="e.clock_synced",
    sound=_sound(_EVENT_AT, "typeof(code) = 'text'"),
)

LOSSES = File(
    "losses.csv",
    "a range of numbers of which the device said that they are gone",
    "losses l",
    "l.epoch, l.first_seq, l.last_seq",
    (
        Column("device", "text", "", "device that made the records", "l.device"),
        Column("epoch", "text", "", "the start of the process that made it, 128 random bits", "l.epoch"),
        Column("first_seq", "integer", "", "first number of the range", "l.first_seq"),
        Column("last_seq", "integer", "", "last number of the range, inclusive", "l.last_seq"),
        Column("what", "text", "", "record, or thumbnail where only the picture is gone", "l.what"),
        Column("reason", "text", "", "why, as the device said", "l.reason"),
        Column(
            "arrived_later",
            "integer",
            "",
            "how many of them the station holds all the same",
            "CASE l.what WHEN 'record' THEN (SELECT count(*) FROM records k WHERE k.device = l.device"
            " AND k.epoch = l.epoch AND k.seq BETWEEN l.first_seq AND l.last_seq)"
            " ELSE (SELECT count(*) FROM thumbnails k WHERE k.device = l.device AND k.epoch = l.epoch"
            " AND k.seq BETWEEN l.first_seq AND l.last_seq) END",
        ),
        Column("recorded_at", "time", "UTC", "when the station heard of it", "l.recorded_at"),
    ),
    device="l.device",
    at_s="l.recorded_at",
)

SUBJECTS = File(
    "subjects.csv",
    "one animal of the lab's own table",
    "subjects s",
    "s.subject",
    (
        Column("subject", "text", "", "the animal's name", "s.subject"),
        Column("strain", "text", "", "strain by MGI nomenclature", "s.strain"),
        Column("sex", "text", "", "female, male or unknown", "s.sex"),
        Column("date_of_birth", "date", "", "day of birth", "s.date_of_birth"),
        Column("date_of_arrival", "date", "", "first day in its cage", "s.date_of_arrival"),
        Column("cage", "text", "", "cage that it lives in", "s.cage"),
        Column("device", "text", "", "device that watches it", "s.device"),
        Column("date_of_departure", "date", "", "last day in its cage", "s.date_of_departure"),
        Column("date_of_death", "date", "", "day of death", "s.date_of_death"),
        Column("arm", "text", "", "arm of the study", "s.arm"),
        Column("notes", "text", "", "anything else", "s.notes"),
    ),
)

FILES = (READINGS, ANIMALS, EVENTS, LOSSES, SUBJECTS)
