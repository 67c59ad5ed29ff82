"""`cageclock-station archive`: the log as Parquet, for DuckDB, pandas, polars or R."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.subcommands import Commands, add_command
from station.command_options import add_data
from station.optional import run_optional


def add_commands(commands: Commands) -> None:
    """Add it to the station's command line."""
    about = "the log as Parquet, a file a month; writes only what has changed (needs the extra `archive`)"
    parser = add_command(commands, "archive", _archive, about)
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the archive")
    parser.add_argument("--all", action="store_true", help="write every month anew, also those that have not changed")


def _archive(options: argparse.Namespace) -> int:
    return run_optional("station.export.archive_run", "archive", "archive_months", options)
