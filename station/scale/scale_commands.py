"""`cageclock-station scale-card` and `scale`: their options. What they need is imported when they run."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.exit_codes import BUNDLE, MACHINE
from edge.contract.service.subcommands import Commands, add_command
from station.optional import run_optional


def add_commands(commands: Commands) -> None:
    """Add them to the station's command line."""
    text = "the card that measures the scale, as a PDF to print"
    parser = add_command(commands, "scale-card", _scale_card, text)
    parser.add_argument("file", type=Path, metavar="PDF", help="where to")
    about = "small (160 x 100 mm, for mouse cages) or large (250 x 150 mm)"
    parser.add_argument("--size", choices=["small", "large"], default="small", help=about)
    text = "measure px_per_mm, tilt and distortion in a picture of the printed card on the cage's floor"
    parser = add_command(commands, "scale", _scale, text, exits=BUNDLE | MACHINE)
    parser.add_argument("picture", type=Path, help="taken by the device's camera, in the size of its settings")
    about = "how long the card's ruler of 100 mm really is, in millimetres; without it the print is taken for true"
    parser.add_argument("--ruler-mm", type=float, metavar="MM", help=about)
    about = "camera.width x camera.height of the settings (pixels), where the picture has another size of this shape"
    parser.add_argument("--settings-size", metavar="1456x1088", help=about)
    about = "of the camera, across, in degrees (66: Camera Module 3); it decides the tilt only"
    parser.add_argument("--field-of-view", type=float, default=66.0, metavar="DEGREES", help=about)
    parser.add_argument("--bundle", type=Path, help="say what the scale means for this model, with --key")
    parser.add_argument("--key", type=Path, metavar="PUB", help="the public key that signed the bundle")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the text")


def _scale_card(options: argparse.Namespace) -> int:
    return run_optional("station.scale.command", "provision", "scale_card", options)


def _scale(options: argparse.Namespace) -> int:
    return run_optional("station.scale.command", "provision", "scale", options)
