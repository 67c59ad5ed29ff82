"""What a picture in memory is, for all that look at one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""uint8 (height, width) grey, or (height, width, 3) RGB."""
