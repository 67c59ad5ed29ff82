"""`cageclock init` and `check`: a first settings file, and what is wrong with one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge.contract.service.subcommands import Commands, add_command


def add_commands(commands: Commands) -> None:
    """Add them to the device's command line."""
    init = add_command(commands, "init", _init, "write a complete, commented example of the settings")
    init.add_argument("file", type=Path, metavar="FILE", help="the file to write; an existing one is left alone")
    text = "say whether a settings file is right, or which key is wrong"
    check = add_command(commands, "check", _check, text)
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help="the settings file")
    check.add_argument("--config", type=Path, metavar="FILE", help="the same, as the other commands name it")


def add_config(command: argparse.ArgumentParser) -> None:
    """Add the option with which a command is given the device's settings."""
    command.add_argument("--config", type=Path, required=True, metavar="FILE", help="the device's settings (YAML)")


def _init(options: argparse.Namespace) -> int:
    from edge.config.example import write_example

    write_example(options.file)
    print(f"{options.file}: written; set device_id and cage, then: cageclock check {options.file}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from edge.config.load import config_sha256
    from edge.config.problems import check_file
    from edge.errors import OperatorError

    if (options.file is None) == (options.config is None):
        raise OperatorError("check: expected one settings file, as FILE or as --config FILE")
    path = options.file or options.config
    found = check_file(path)
    for error in found.errors:
        print(f"cageclock: {error}", file=sys.stderr)
    for warning in found.warnings:
        print(f"cageclock: {path}: warning: {warning}", file=sys.stderr)
    if found.config is None:
        return OperatorError.exit_code
    print(f"{path}: ok (device {found.config.device_id}, settings {config_sha256(found.config)[:12]})")
    return 0
