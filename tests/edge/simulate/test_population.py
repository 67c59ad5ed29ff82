"""A population is seeded, plausible and honest about wrong requests."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import OperatorError
from edge.simulate import STRAINS, create_population

FROM, UNTIL = date(2025, 1, 1), date(2025, 3, 31)


@given(
    seed=st.integers(0, 2**31), count=st.integers(0, 60), strains=st.sets(st.sampled_from(sorted(STRAINS)), min_size=1)
)
@settings(max_examples=40, deadline=None)
def test_every_population_keeps_its_promises(seed: int, count: int, strains: set[str]) -> None:
    names = tuple(sorted(strains))
    animals = create_population(seed, count, born_from=FROM, born_until=UNTIL, strains=names)
    assert animals == create_population(seed, count, born_from=FROM, born_until=UNTIL, strains=names)
    assert len(animals) == count
    assert len({animal.subject_id for animal in animals}) == count
    assert all(FROM <= animal.date_of_birth <= UNTIL and animal.strain in strains for animal in animals)
    litters: dict[str, set[tuple[date, str]]] = {}
    for animal in animals:
        litters.setdefault(animal.litter_id, set()).add((animal.date_of_birth, animal.strain))
    assert all(len(shared) == 1 for shared in litters.values()), "litter mates share date of birth and strain"


def test_a_larger_population_begins_with_the_smaller_one() -> None:
    few = create_population(3, 10, born_from=FROM, born_until=UNTIL)
    assert create_population(3, 25, born_from=FROM, born_until=UNTIL)[:10] == few


def test_sexes_are_balanced_and_ageing_rates_spread_around_the_calendar() -> None:
    animals = create_population(1, 2000, born_from=FROM, born_until=UNTIL)
    rates = np.array([animal.ageing_rate for animal in animals])
    assert 0.46 < np.mean([animal.sex == "male" for animal in animals]) < 0.54
    assert abs(np.median(rates) - 1.0) < 0.02
    assert 0.12 < np.log(rates).std() < 0.20


def test_age_counts_days_from_the_date_of_birth() -> None:
    animal = create_population(1, 1, born_from=FROM, born_until=FROM)[0]
    assert animal.age_days_at(datetime(2025, 1, 31, 12, tzinfo=UTC)) == 30.5


def test_a_time_without_a_zone_and_a_time_before_birth_are_refused() -> None:
    animal = create_population(1, 1, born_from=FROM, born_until=FROM)[0]
    with pytest.raises(OperatorError, match="aware time"):
        animal.age_days_at(datetime(2025, 5, 1))
    with pytest.raises(OperatorError, match="not yet alive"):
        animal.age_days_at(datetime(2024, 12, 31, tzinfo=UTC))


def test_wrong_requests_say_what_was_expected() -> None:
    with pytest.raises(OperatorError, match=r"strains: expected some of C57BL/6J.*B6"):
        create_population(1, 1, born_from=FROM, born_until=UNTIL, strains=("B6",))
    with pytest.raises(OperatorError, match="born_until"):
        create_population(1, 1, born_from=FROM, born_until=FROM - timedelta(days=1))
    with pytest.raises(OperatorError, match="count"):
        create_population(1, -1, born_from=FROM, born_until=UNTIL)
