"""setuptools' build backend, which before each build fetches what the lab's page takes from npm packages.

Where they cannot be had (a board without npm, no registry) the build goes on without them and says so: a device never
shows the page, and `cageclock-station serve` names what is missing. With CAGECLOCK_PAGE_ASSETS=required it fails, as
`make dist` wants it. A package that is not the one of the lock file always fails the build.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import page_assets
from setuptools import build_meta
from setuptools.build_meta import prepare_metadata_for_build_editable, prepare_metadata_for_build_wheel

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Return what building a wheel needs."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *page_assets.requirements()]


def get_requires_for_build_sdist(config_settings: Any = None) -> list[str]:
    """Return what building a source archive needs."""
    return [*build_meta.get_requires_for_build_sdist(config_settings), *page_assets.requirements()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """Return what an editable install needs."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *page_assets.requirements()]


def build_wheel(directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """Build the wheel and return its name."""
    _fetch()
    return str(build_meta.build_wheel(directory, config_settings, metadata_directory))


def build_sdist(directory: str, config_settings: Any = None) -> str:
    """Build the source archive, which carries the files too, and return its name."""
    _fetch()
    return str(build_meta.build_sdist(directory, config_settings))


def build_editable(directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """Build the editable wheel and return its name."""
    _fetch()
    return str(build_meta.build_editable(directory, config_settings, metadata_directory))


def _fetch() -> None:
    try:
        page_assets.ensure()
    except page_assets.AssetsMissing as error:
        if "EINTEGRITY" in str(error) or os.environ.get("CAGECLOCK_PAGE_ASSETS") == "required":
            raise SystemExit(f"the files of the lab's page: {error}") from error
        print(f"warning: built without the files of the lab's page: {error}", file=sys.stderr)
