"""The lab's line of looks over age, by which a gap is freed of regression to the mean; worked out beside the page."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from edge.errors import CageclockError
from station.curves.curve import Trend, fit_trend
from station.curves.days import load_day_curves
from station.page.read import log

LOG = logging.getLogger("station.page")
EVERY_S = 3600.0


class Trends:
    """The newest line; `trend` answers at once with the last one, and has it made anew when it is an hour old."""

    def __init__(self, data: Path) -> None:
        """Nothing is known yet."""
        self._data = data
        self._lock = threading.Lock()
        self._trend: Trend | None = None
        self._made_s: float | None = None
        self._making = False

    @property
    def known(self) -> bool:
        """Whether it was worked out once; there can be no line even then."""
        return self._made_s is not None

    def trend(self) -> Trend | None:
        """Return the last line, None where there is none or it is being worked out for the first time."""
        with self._lock:
            old = self._made_s is None or time.monotonic() - self._made_s > EVERY_S
            if old and not self._making:
                self._making = True
                threading.Thread(target=self._make, name="ThreadPoolExecutor-trend", daemon=True).start()
            return self._trend

    def _make(self) -> None:
        found = self._trend
        try:
            with log(self._data) as connection:
                found = fit_trend(load_day_curves(connection, "week"))
        except (CageclockError, OSError) as error:
            LOG.error("the line for corrected gaps could not be worked out: %s", error)
        finally:
            with self._lock:
                self._trend, self._made_s, self._making = found, time.monotonic(), False
