"""Pillow, simplejpeg and OpenCV on one capture's pictures: 640x480 to a 320x240 JPEG, quality 75; time and memory."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.table import Row

_FRAME = """
import json, os, sys, time
import numpy as np
def rss():
    return int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6
y, x = np.mgrid[:480, :640]
noise = np.random.default_rng(0).normal(0, 6, (480, 640, 3))
frame = (120 + 60 * np.sin(x / 40) * np.cos(y / 30))[..., None] + noise
frame = frame.clip(0, 255).astype(np.uint8)
before = rss()
"""
_JOBS = {
    "Pillow": "import io\nfrom PIL import Image, JpegImagePlugin\ndef job():\n    out = io.BytesIO()\n"
    "    Image.fromarray(frame).reduce(2).save(out, 'JPEG', quality=75)\n    return out.getvalue()\n",
    "simplejpeg (numpy reduces)": "import simplejpeg\ndef job():\n"
    "    s = frame.reshape(240, 2, 320, 2, 3).mean((1, 3), dtype=np.float32).astype(np.uint8)\n"
    "    return simplejpeg.encode_jpeg(s, quality=75, colorspace='RGB', colorsubsampling='420')\n",
    "OpenCV": "import cv2\ncv2.setNumThreads(1)\ndef job():\n"
    "    s = cv2.resize(frame, (320, 240), interpolation=cv2.INTER_AREA)\n"
    "    return cv2.imencode('.jpg', s[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes()\n",
}
_MEASURE = """
job()
times = []
for _ in range(200):
    begin = time.process_time(); size = len(job()); times.append(time.process_time() - begin)
print(json.dumps({'ms': sorted(times)[100] * 1000, 'rss_mb': rss() - before, 'bytes': size}))
"""


def rows() -> list[Row]:
    """Return a row a library: median CPU time of a thumbnail, and the resident memory that the library adds."""
    found: list[Row] = []
    first = 0.0
    for name, job in _JOBS.items():
        done = subprocess.run([sys.executable, "-c", _FRAME + job + _MEASURE], capture_output=True, text=True)
        if done.returncode:
            found.append(Row(name, "-", "", f"skipped: {done.stderr.strip().splitlines()[-1]}"))
            continue
        got = json.loads(done.stdout)
        first = first or got["ms"]
        remark = f"to Pillow; adds {got['rss_mb']:.1f} MB resident, {got['bytes']} bytes"
        found.append(Row(name, f"{got['ms']:.2f} ms", f"{got['ms'] / first:.2f}", remark))
    return found
