"""Where the demo bundle and its public key lie inside the installed package."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "demo/bundle"
DEMO_BUNDLE = FOLDER / "demo.bundle"
DEMO_KEY = FOLDER / "demo.pub"
