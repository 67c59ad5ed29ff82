"""A child process that draws one curve and writes the picture to stdout, so that matplotlib's memory ends with it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from edge.errors import CageclockError
from station.curves.figure import draw_png
from station.page.read import load_some_curves


def main(arguments: list[str]) -> int:
    """Draw; arguments: png or svg, the data folder, animal or cage, its name, the devices that saw it."""
    kind, data, whose, name, *devices = arguments
    try:
        curves = load_some_curves(Path(data), devices)
        chosen = [one for one in curves if one.name == name and one.named == (whose == "animal")]
        with tempfile.TemporaryDirectory() as folder:
            (file,) = draw_png(chosen, "day", Path(folder, f"curve.{kind}"))
            sys.stdout.buffer.write(file.read_bytes())
    except CageclockError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
