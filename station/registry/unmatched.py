"""Do the lab's table of animals and the readings name the same animals and cages?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from edge.contract.tables.join import Join, describe_join, join
from edge.contract.tables.names import describe_near
from station.registry.subjects import load_subjects
from station.store import schema

# One look into the index a name, instead of one a reading.
_NAMED = """
WITH RECURSIVE name(subject) AS (
    SELECT min(subject) FROM animals WHERE subject > ''
    UNION ALL
    SELECT (SELECT min(subject) FROM animals WHERE subject > name.subject) FROM name WHERE name.subject IS NOT NULL
) SELECT subject FROM name WHERE subject IS NOT NULL
"""
_DEVICES = """
WITH RECURSIVE name(device) AS (
    SELECT min(device) FROM readings
    UNION ALL
    SELECT (SELECT min(device) FROM readings WHERE device > name.device) FROM name WHERE name.device IS NOT NULL
) SELECT device, (SELECT cage FROM readings AS r WHERE r.device = name.device ORDER BY captured_s DESC LIMIT 1)
FROM name WHERE device IS NOT NULL
"""


def doubtful_names(data: Path, added: Iterable[str] = ()) -> list[str]:
    """Return sentences on names without a partner, and on names that likely mean one animal, cage, arm or strain.

    added: animals that a dry run would add. A table's cage has a partner where a device looks at it now.
    """
    names, cages, named, seen = set(added), set[str](), set[str](), set[str]()
    arms, strains = set[str](), set[str]()
    if schema.has_log(data):
        with closing(schema.open_for_reading(data)) as connection:
            subjects = load_subjects(connection)
            named, seen = _of_readings(connection)
        names |= {subject.subject for subject in subjects}
        cages = {subject.cage for subject in subjects if subject.cage}
        arms = {subject.arm for subject in subjects if subject.arm}
        strains = {subject.strain for subject in subjects if subject.strain}
    said = describe_near(names | named) + describe_near(cages | seen, "cage")
    said += describe_near(arms, "arm") + describe_near(strains, "strain")
    if named:
        found = join(named, names)
        # An animal of the table needs no reading that names it: its cage may.
        said += describe_join(Join(found.matched, found.first_only, ()), "the readings", "the table")[1:]
    if seen and cages:
        said += describe_join(join(cages, seen), "the table", "what the devices look at", "cages")[1:]
    return said


def _of_readings(connection: sqlite3.Connection) -> tuple[set[str], set[str]]:
    """Return the animals that readings name, and the cages that the devices' newest readings name."""
    named = {row[0] for row in connection.execute(_NAMED)}
    return named, {row[1] for row in connection.execute(_DEVICES) if row[1]}
