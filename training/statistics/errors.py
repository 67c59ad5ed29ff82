"""The errors that a model really makes, taken apart: what belongs to the animal, its rate, the day, the reading.

Fitted to predictions of held-out animals seen repeatedly; studies are drawn from it, power is computed from it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.errors import OperatorError
from training.statistics.day_correlation import Fit, day_correlation

Floats = NDArray[np.float64]
BAND_DAYS = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class ErrorModel:
    """predicted = curve(age) + animal + rate * (age - middle) + day + reading; days, rates in days per day.

    knots, curve: mean prediction by age band. animal_sd: between animals of one age. rate_sd: of animals' slopes.
    day_sd: between days of an animal, 0 where no animal has several readings a day (then it is part of reading_sd).
    day_correlation: of an animal's errors on two days that lie day_spacing days apart (see `correlation`).
    pool: standardised reading-level residuals as measured, from which noise is drawn. first, last: ages that were seen.
    """

    knots: Floats
    curve: Floats
    animal_sd: float
    rate_sd: float
    day_sd: float
    reading_sd: float
    pool: Floats
    animals: int
    readings: int
    days_separable: bool
    day_correlation: float = 0.0
    day_spacing: float = 1.0

    def mean(self, age_days: Floats) -> Floats:
        """Return the mean prediction at these ages, straight on beyond the outermost bands."""
        found: Floats = np.interp(age_days, self.knots, self.curve)
        for end, near, side in ((0, 1, age_days < self.knots[0]), (-1, -2, age_days > self.knots[-1])):
            step = (self.curve[end] - self.curve[near]) / (self.knots[end] - self.knots[near])
            found = np.where(side, self.curve[end] + step * (age_days - self.knots[end]), found)
        return found

    def slope(self, low_days: float, high_days: float) -> float:
        """Return by how much the mean prediction rises a day of true age between two ages (1 is unshrunk)."""
        ages = np.linspace(low_days, high_days, 101)
        return float(np.polyfit(ages, self.mean(ages), 1)[0])

    def correlation(self, apart_days: float) -> float:
        """Return the correlation of an animal's errors on two days so far apart: it decays exponentially."""
        return float(self.day_correlation ** (apart_days / self.day_spacing)) if self.day_correlation > 0 else 0.0

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Return reading-level errors, days, drawn from the measured ones."""
        return rng.choice(self.pool, shape) * self.reading_sd

    def figures(self) -> dict[str, float]:
        """Return the numbers of it."""
        whole = {name: value for name, value in asdict(self).items() if not isinstance(value, np.ndarray)}
        total = self.animal_sd**2 + self.day_sd**2 + self.reading_sd**2
        return whole | {
            "icc_reading": self.animal_sd**2 / total if total else float("nan"),
            "minimal_detectable_change_days": 1.96 * float(np.sqrt(2 * (self.day_sd**2 + self.reading_sd**2))),
        }


def fit_errors(readings: pd.DataFrame, source: str = "predictions") -> ErrorModel:
    """Return the error model of readings (subject, age_days, predicted_days) of animals that were seen repeatedly.

    Variances by the method of moments on deviations from the age bands' curve: readings of one animal and one day,
    then days about the animal's own line, then animals' lines. An animal that was seen within a few days tells next to
    nothing of its rate, and its steep line counts accordingly.

    Raises:
        OperatorError: fewer than ten animals were seen three times or more.
    """
    table = readings[["subject", "age_days", "predicted_days"]].dropna()
    counts = table.groupby("subject")["age_days"].nunique()
    repeated = counts.index[counts >= 3]
    if len(repeated) < 10:
        raise OperatorError(
            f"{source}: test-retest figures need at least 10 animals seen on 3 days or more (columns subject, "
            f"age_days, predicted_days), got {len(repeated)}; give --sem, --icc and --rate-sd instead"
        )
    age, predicted = table["age_days"].to_numpy(float), table["predicted_days"].to_numpy(float)
    knots, curve = _bands(age, predicted)
    blank = ErrorModel(knots, curve, 0, 0, 0, 0, np.zeros(1), len(counts), len(table), False)
    table = table.assign(error=predicted - blank.mean(age), day=age.round())
    days = table.groupby(["subject", "day"])["error"].agg(["mean", "size", "var"]).reset_index()
    several = days[days["size"] >= 2]
    separable = len(several) >= 10
    reading = float(((several["size"] - 1) * several["var"]).sum() / (several["size"] - 1).sum()) if separable else 0.0
    lines = _lines(days[days["subject"].isin(repeated)])
    fits = [Fit(one["x"], one["left"]) for _, one in lines.iterrows()]
    correlation, spacing = day_correlation(fits)
    # The variance of an animal-day about the animal's line: days that go together lie nearer to it than they scatter.
    kept = [one.expected(correlation, spacing) for one in fits]
    about = lines["residual"].sum() / sum(own for own, _, _ in kept)
    per_day = float(days["size"].mean())
    day = max(0.0, about - reading / per_day) if separable else 0.0
    reading = reading if separable else about
    wider = np.array([widening for _, _, widening in kept])
    rate = _variance_beyond(lines["slope"].to_numpy(), (about / lines["sxx"]).to_numpy() * wider)
    level = max(0.0, float(lines["level"].var(ddof=1) - (about / lines["days"]).mean()))
    pool = np.concatenate(lines["standardised"].to_list())
    return ErrorModel(
        *(knots, curve, float(np.sqrt(level)), float(np.sqrt(rate)), float(np.sqrt(day)), float(np.sqrt(reading))),
        pool=(pool - pool.mean()) / pool.std(),
        animals=len(counts),
        readings=len(table),
        days_separable=separable,
        day_correlation=correlation,
        day_spacing=spacing,
    )


def _variance_beyond(values: Floats, variances: Floats) -> float:
    """Return the variance between animals beyond what each value's own error explains (Paule and Mandel, 1982)."""
    from statsmodels.stats.meta_analysis import combine_effects

    return max(0.0, float(combine_effects(values, variances, method_re="iterated").tau2))


def _bands(age: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """Return mean age and mean prediction of age bands of about 100 days with at least 8 readings each."""
    count = int(np.clip((age.max() - age.min()) / BAND_DAYS, 2, max(2, len(age) // 8)))
    band = np.minimum((np.argsort(np.argsort(age)) * count) // len(age), count - 1)
    centres = np.array([age[band == number].mean() for number in range(count)])
    means = np.array([predicted[band == number].mean() for number in range(count)])
    if np.any(np.diff(centres) <= 0):
        raise OperatorError("predictions: column age_days: expected animals of different ages, got one age only")
    return centres, means


def _lines(days: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for _, animal in days.groupby("subject"):
        x, y = animal["day"].to_numpy(float), animal["mean"].to_numpy(float)
        centred = x - x.mean()
        sxx = float((centred**2).sum())
        slope = float((centred * y).sum()) / sxx
        left = y - y.mean() - slope * centred
        # A residual's variance is (1 - leverage) of the error's: scaled back, so that the pool is as wide as the error.
        leverage = 1 / len(x) + centred**2 / sxx
        rows.append(
            {
                "x": x,
                "left": left,
                "level": y.mean(),
                "slope": slope,
                "sxx": sxx,
                "days": len(x),
                "residual": float((left**2).sum()),
                "freedom": len(x) - 2,
                "standardised": left / np.sqrt(np.maximum(1 - leverage, 0.2)),
            }
        )
    return pd.DataFrame(rows)
