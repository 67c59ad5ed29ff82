"""Short films of given pictures."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest


def write_film(path: Path, pictures: Iterable[np.ndarray], rate: int = 10) -> Path:
    """Write pictures of one size, uint8 (height, width, 3) RGB, as an MPEG-4 film; without PyAV the test is skipped."""
    av = pytest.importorskip("av", reason="PyAV is not installed")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.bit_rate, stream.pix_fmt = 8_000_000, "yuv420p"
        for number, picture in enumerate(pictures):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
